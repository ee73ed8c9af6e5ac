//! Models by hub id, against a hub of one repository that this file serves.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::{self, Said, Scene, fixture, rows, said};
use serde_json::json;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    authorization: Option<String>,
    range: Option<String>,
}

/// Serves `org/name` at `main` from a fixture's files; `org/private` is rejected, everything else unknown.
struct Hub {
    endpoint: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Hub {
    /// The serving thread ends with the test's process.
    fn start(of: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let requests = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = Request::read(&stream) else { continue };
                requests.lock().unwrap().push(request.clone());
                answer(&request, of, stream);
            }
        });
        Self { endpoint, seen }
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let mut request = Self { path, authorization: None, range: None };
        for line in lines {
            let (name, value) = line.split_once(": ")?;
            match name.to_lowercase().as_str() {
                "authorization" => request.authorization = Some(value.to_owned()),
                "range" => request.range = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(request)
    }

    /// First and last byte requested of `length`.
    fn bytes(&self, length: usize) -> (usize, usize) {
        let range = self.range.as_deref().and_then(|range| range.strip_prefix("bytes=")).unwrap_or("0-");
        let (first, last) = range.split_once('-').unwrap();
        (first.parse().unwrap(), last.parse().unwrap_or(length - 1).min(length - 1))
    }
}

fn answer(request: &Request, of: &str, mut stream: TcpStream) {
    let listing = "/api/models/org/name/revision/main";
    let file = request.path.strip_prefix("/org/name/resolve/main/");
    let known = file.and_then(|name| fs::read(fixture(of).join(name)).ok());
    let (head, body) = match known {
        Some(content) => {
            let (first, last) = request.bytes(content.len());
            let range = format!("Content-Range: bytes {first}-{last}/{}", content.len());
            let names = format!("x-repo-commit: {COMMIT}\r\netag: \"{:x}\"", content.len());
            (format!("206 Partial Content\r\n{range}\r\n{names}"), content[first..=last].to_vec())
        }
        None if request.path == listing => ("200 OK".to_owned(), siblings(of)),
        None if request.path.starts_with("/api/models/org/private/") => ("401 Unauthorized".to_owned(), Vec::new()),
        None => ("404 Not Found".to_owned(), Vec::new()),
    };
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has what it wanted may have left.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 16]);
}

fn siblings(of: &str) -> Vec<u8> {
    let mut names = vec!["README.md".to_owned(), "pytorch_model.bin".to_owned()];
    names.extend(fs::read_dir(fixture(of)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    let siblings: Vec<_> = names.iter().map(|name| json!({ "rfilename": name })).collect();
    json!({"sha": COMMIT, "siblings": siblings}).to_string().into_bytes()
}

/// Scores three rows with `model`, in a scene whose hub cache is `home`.
fn score(scene: &Scene, model: &str, output: &str, environment: &[(&str, &str)]) -> Said {
    scene.dataset("rl_demo.jsonl", &rows()[..3]);
    let command = &mut scene.command(&format!("score --dataset rl_demo.jsonl --models {model} --output-dir {output}"));
    said(command.env("HF_HOME", scene.path("home")).env("NO_PROXY", "127.0.0.1").envs(environment.iter().copied()))
}

#[test]
fn a_repository_is_fetched_once_and_scored() {
    for of in ["qwen3-tied", "qwen3-bias"] {
        let (scene, hub) = (Scene::new(), Hub::start(of));
        let online = [("HF_ENDPOINT", hub.endpoint.as_str()), ("HF_TOKEN", "secret")];
        score(&scene, "org/name@main", "out", &online).expect(0, "name: 3 ok samples; ");
        let seen = hub.seen();
        assert!(seen.iter().all(|request| request.authorization.as_deref() == Some("Bearer secret")), "{seen:?}");
        let fetched = |name: &str| seen.iter().any(|request| request.path.ends_with(name));
        assert!(fetched("/config.json") && fetched("/tokenizer.json") && fetched(".safetensors"));
        for unread in ["README.md", "pytorch_model.bin", "reference.safetensors"] {
            assert!(!fetched(unread), "{unread} was fetched");
        }

        // From here on the cache is enough, with and without a network.
        let offline = [("HF_HUB_OFFLINE", "1")];
        score(&scene, "org/name@main", "out", &offline).expect(0, "name: already scored\n");
        score(&scene, "name=org/name", "again", &online).expect(0, "name: 3 ok samples; ");
        score(&scene, &format!("name=org/name@{COMMIT}"), "again", &offline).expect(0, "name: already scored\n");
        assert_eq!(hub.seen().len(), seen.len(), "nothing is requested twice");

        score(&scene, &format!("name={}", fixture(of).display()), "local", &[]).expect(0, "name: 3 ok samples; ");
        assert!(scene.files("out") == scene.files("local") && scene.files("again") == scene.files("local"));
    }
}

/// Other programs fill the cache with the files that they read.
#[test]
fn what_another_program_left_out_is_fetched() {
    let all = ["config.json", "model.safetensors", "tokenizer.json"];
    for filled in [&all[..1], &all[..2], &all[..]] {
        let (scene, hub) = (Scene::new(), Hub::start("qwen3-tied"));
        let snapshot = format!("home/hub/models--org--name/snapshots/{COMMIT}");
        for file in filled {
            scene.write(&format!("{snapshot}/{file}"), fs::read(fixture("qwen3-tied").join(file)).unwrap());
        }
        scene.write("home/hub/models--org--name/refs/main", COMMIT);
        let offline = [("HF_HUB_OFFLINE", "1")];
        let said = score(&scene, "org/name", "out", &offline);
        match filled.len() {
            1 => said.expect(1, "HF_HUB_OFFLINE is set and the cache lacks model.safetensors, tokenizer.json, "),
            2 => said.expect(1, "has no tokenizer.json: use --tokenizer (HF_HUB_OFFLINE is set: "),
            _ => said.expect(0, "name: 3 ok samples; "),
        };
        // A hub that cannot be reached is no reason to do without what is there.
        if filled.len() == 3 {
            let unreachable = [("HF_ENDPOINT", "http://127.0.0.1:1")];
            score(&scene, "org/name", "alone", &unreachable)
                .expect(0, "org/name: the cache lacks tokenizer_config.json, generation_config.json, ")
                .expect(0, "name: 3 ok samples; ");
        }
        let online = [("HF_ENDPOINT", hub.endpoint.as_str())];
        score(&scene, "org/name", "again", &online).expect(0, "name: 3 ok samples; ");
        let requested = |name: &str| hub.seen().iter().any(|request| request.path.ends_with(name));
        assert!(requested("/generation_config.json") && !filled.iter().any(|file| requested(&format!("/{file}"))));
        // What the hub does not have is not requested again.
        let seen = hub.seen().len();
        score(&scene, "org/name", "third", &online).expect(0, "name: 3 ok samples; ");
        assert_eq!(hub.seen().len(), seen);
    }
}

#[test]
fn nothing_is_sent_without_a_token() {
    let (scene, hub) = (Scene::new(), Hub::start("qwen3-tied"));
    score(&scene, "org/name", "out", &[("HF_ENDPOINT", &hub.endpoint)]).expect(0, "name: 3 ok samples; ");
    assert!(hub.seen().iter().all(|request| request.authorization.is_none()));
    // What `hf auth login` stores is used where the environment has none.
    scene.write("home/token", "stored\n");
    score(&scene, "org/other", "out", &[("HF_ENDPOINT", &hub.endpoint)]);
    assert_eq!(hub.seen().last().unwrap().authorization.as_deref(), Some("Bearer stored"));
}

#[test]
fn repositories_that_are_not_given_out() {
    let (scene, hub) = (Scene::new(), Hub::start("qwen3-tied"));
    for (id, status) in [("org/gone", 404), ("org/private", 401), ("org/name@v9", 404)] {
        let said = score(&scene, id, "out", &[("HF_ENDPOINT", &hub.endpoint)]);
        let message = format!(
            "error: model `{id}`: no such directory, and the hub does not list it (private? misspelt? no network?): request error: http status: {status}\n"
        );
        assert_eq!((said.code, said.stderr), (Some(1), message));
    }
    let unreachable = [("HF_ENDPOINT", "http://127.0.0.1:1")];
    score(&scene, "org/name", "out", &unreachable)
        .expect(1, "error: model `org/name`: no such directory, and the hub does not list it ");
    assert!(!scene.path("out").exists());
}

/// One file of a repository, of which nothing else is requested, in a folder of it too.
#[test]
fn a_gguf_of_a_repository_is_a_model() {
    let folder = Scene::new();
    std::fs::create_dir(folder.path("q")).unwrap();
    common::converted::write("qwen3-tied", &folder.path("q/tied.gguf"));
    let root: &'static str = folder.path("").to_str().unwrap().to_owned().leak();
    let hub = Hub::start(root);
    let scene = Scene::new();
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    fs::copy(&tokenizer, scene.path("tokenizer.json")).unwrap();
    let run = |model: &str, environment: &[(&str, &str)]| {
        scene.dataset("rl_demo.jsonl", &rows()[..3]);
        let options = format!("--models {model} --output-dir out --tokenizer tokenizer.json");
        let mut command = scene.command(&format!("score --dataset rl_demo.jsonl {options}"));
        said(command.env("HF_HOME", scene.path("home")).env("NO_PROXY", "127.0.0.1").envs(environment.iter().copied()))
    };
    let online = [("HF_ENDPOINT", hub.endpoint.as_str())];
    run("org/name/q/tied.gguf", &online).expect(0, "tied: 3 ok");
    let requested = hub.seen();
    assert!(requested.iter().all(|request| request.path == "/org/name/resolve/main/q/tied.gguf"), "{requested:?}");
    let offline = [("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", "http://127.0.0.1:1")];
    run("org/name/q/tied.gguf@main", &offline).expect(0, "tied: already scored");
    run(&format!("other=org/name/q/tied.gguf@{COMMIT}"), &offline).expect(0, "other: 3 ok");
    run("org/name/q/none.gguf", &online).expect(1, "cannot fetch `q/none.gguf`");
    for no_file in ["org/name/q/tied.bin", "org/name/../tied.gguf", "org/name//tied.gguf"] {
        run(no_file, &online).expect(1, "no such directory");
    }
}
