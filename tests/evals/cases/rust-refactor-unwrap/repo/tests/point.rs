use point::{parse, Point};

#[test]
fn parsed() {
    assert_eq!(parse("3, -4"), Point { x: 3, y: -4 });
}
