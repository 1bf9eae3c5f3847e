/* A process that is started with this believes that it is CODEXSYS_TEST_CLOCK seconds later. Only the time of day is another one. */
#ifdef __aarch64__
enum { CLOCK_GETTIME = 113 };
#else
enum { CLOCK_GETTIME = 228 };
#endif
struct moment { long seconds, parts; };
extern long syscall(long, ...);
extern char *getenv(const char *);
extern long atol(const char *);

int clock_gettime(int clock, struct moment *at) {
  long failed = syscall(CLOCK_GETTIME, clock, at);
  const char *later = getenv("CODEXSYS_TEST_CLOCK");
  if (!failed && later && (clock == 0 || clock == 5)) at->seconds += atol(later);
  return (int)failed;
}

int gettimeofday(struct moment *at, void *zone) {
  (void)zone;
  int failed = clock_gettime(0, at);
  at->parts /= 1000;
  return failed;
}

long time(long *at) {
  struct moment now;
  clock_gettime(0, &now);
  if (at) *at = now.seconds;
  return now.seconds;
}
