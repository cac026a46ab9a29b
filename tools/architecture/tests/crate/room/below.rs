pub struct Deep;

fn names() {
    // A method with the name of a file, and a type of another crate.
    super::Item::below();
    target::VALUE;
}
