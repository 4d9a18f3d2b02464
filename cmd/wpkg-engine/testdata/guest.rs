// A program whose WASI is that of components.
fn main() {
    let args: Vec<String> = std::env::args().collect();
    print!("{args:?}");
    for path in &args[1..] {
        match path.as_str() {
            "exit" => std::process::exit(3),
            "panic" => panic!("on purpose"),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "connect" => print!(" {:?}", std::net::TcpStream::connect("127.0.0.1:1").map_err(|e| e.kind())),
            "variable" => print!(" {:?}", std::env::var("VARIABLE")),
            _ => print!(" {:?}", std::fs::read_to_string(path).map_err(|e| e.kind())),
        }
    }
}
