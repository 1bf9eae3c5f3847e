use steps::Steps;

#[test]
fn given() {
    assert_eq!(Steps::new(1.0, 2.0, 0.25).collect::<Vec<f64>>(), [1.0, 1.25, 1.5, 1.75]);
    assert_eq!(Steps::new(0.0, 1.0, 1.0).count(), 1);
    assert_eq!(Steps::new(0.0, 1.0, 0.0).count(), 0);
    assert_eq!(Steps::new(0.0, 1.0, -1.0).count(), 0);
    assert_eq!(Steps::new(1.0, 1.0, 1.0).count(), 0);
}
