use wrap::wrap;

#[test]
fn short_and_long() {
    assert_eq!(wrap("a b", 10), ["a b"]);
    assert_eq!(wrap("aaaaaaaa b", 3), ["aaaaaaaa", "b"]);
    assert!(wrap("", 3).is_empty());
}
