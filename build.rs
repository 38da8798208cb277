//! Tells cargo that a new file in `migrations/` changes the program, which embeds them.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
