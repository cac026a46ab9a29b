fn there() {
    crate::inline::nested::back()
}
