//! Series of numbers.

/// Numbers from one to another, by a step.
pub struct Steps {
    pub from: f64,
    pub to: f64,
    pub by: f64,
}

impl Steps {
    pub fn new(from: f64, to: f64, by: f64) -> Steps {
        Steps { from, to, by }
    }
}
