// Package pool runs jobs side by side.
package pool

import "sync"

// Pool is some workers.
type Pool struct {
	jobs chan func()
	busy sync.WaitGroup
}

// New starts workers.
func New(workers int) *Pool {
	p := &Pool{jobs: make(chan func())}
	for n := 0; n < workers; n++ {
		p.busy.Add(1)
		go func() {
			defer p.busy.Done()
			for job := range p.jobs {
				job()
			}
		}()
	}
	return p
}

// Do hands a job to a worker.
func (p *Pool) Do(job func()) { p.jobs <- job }

// Close waits until all that was handed over is done.
func (p *Pool) Close() {
	close(p.jobs)
	p.busy.Wait()
}
