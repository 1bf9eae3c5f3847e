use duration::seconds;

#[test]
fn too_long() {
    assert!(seconds("9999999999999999999h").is_err());
    assert!(seconds("5124095576030432h").is_err());
    assert_eq!(seconds("5124095576030431h"), Ok(5124095576030431 * 3600));
    assert!(seconds("").is_err());
    assert!(seconds("xh").is_err());
}
