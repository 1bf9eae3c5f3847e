use point::{parse, ParseError, Point};

#[test]
fn results() {
    assert_eq!(parse("3, -4"), Ok(Point { x: 3, y: -4 }));
    assert_eq!(parse("3"), Err(ParseError::Missing("y")));
    assert_eq!(parse("a,1"), Err(ParseError::Number("a".to_string())));
}
