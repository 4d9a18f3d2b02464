fn main() {
    assert_eq!(version_check::is_min_version("1.56.0"), Some(true));
}
