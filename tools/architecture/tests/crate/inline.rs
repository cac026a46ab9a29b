pub mod nested {
    pub fn back() {
        super::super::circle::there();
    }

    fn same_file() {
        super::here();
        self::back();
    }
}

fn here() {}
