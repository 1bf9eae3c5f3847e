use wrap::wrap;

#[test]
fn exactly_the_width() {
    assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    assert_eq!(wrap("aa bb cc", 4), ["aa", "bb", "cc"]);
}

#[test]
fn characters() {
    assert_eq!(wrap("éé éé", 5), ["éé éé"]);
}
