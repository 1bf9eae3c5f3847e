use steps::Steps;

#[test]
fn made() {
    assert_eq!(Steps::new(0.0, 1.0, 0.5).by, 0.5);
}
