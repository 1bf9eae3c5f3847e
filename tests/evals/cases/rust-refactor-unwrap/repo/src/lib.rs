//! Points as text.

/// A place.
#[derive(Debug, PartialEq)]
pub struct Point {
    pub x: i64,
    pub y: i64,
}

/// The point of a text like `3,4`.
pub fn parse(text: &str) -> Point {
    let mut parts = text.split(',');
    let x = parts.next().unwrap().trim().parse().unwrap();
    let y = parts.next().expect("no y").trim().parse().unwrap();
    Point { x, y }
}
