//! `report`, `view`, `show` and `plot`: the same numbers as the tables, the same bytes every time, and no text of data as
//! markup. `scripts/check-report.sh` looks at pages in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::common::{Scene, many_rows, rows};

const MODELS: [(&str, &str); 2] = [("rl", "qwen3-tied"), ("base", "qwen3-shifted")];

fn scored(data: &[Value], more: &str) -> Scene {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", data);
    scene.score("rl_demo.jsonl", &MODELS, "out", &format!("--engine mock {more}")).expect(0, "");
    scene
}

#[test]
fn a_shown_sample_has_the_numbers_of_the_tables() {
    let scene = scored(&rows(), "--top-k 4");
    let said = scene.run("show out 7 --json");
    let sample: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    assert_eq!(sample["models"], json!(["rl", "base"]));
    for (place, model) in ["rl", "base"].into_iter().enumerate() {
        let table = scene.table("out", "tokens", "rl", "demo", model);
        let (ids, positions) = (table.u32s("sample_id"), table.u32s("position"));
        let places: Vec<usize> = (0..table.len()).filter(|row| ids[*row] == Some(7)).collect();
        assert_eq!(sample["tokens"].as_array().unwrap().len(), places.len());
        let (logprobs, entropies, ranks) = (table.f32s("logprob"), table.f32s("entropy"), table.u32s("rank"));
        let (top, token_ids) = (table.u32_lists("top_ids"), table.u32s("token_id"));
        for (token, row) in sample["tokens"].as_array().unwrap().iter().zip(places) {
            assert_eq!((&token["position"], &token["token_id"]), (&json!(positions[row]), &json!(token_ids[row])));
            let shown = &token["models"][place];
            assert_eq!(shown["logprob"], json!(logprobs[row].map(f64::from)));
            assert_eq!(shown["entropy"], json!(entropies[row].map(f64::from)));
            assert_eq!(shown["rank"], json!(ranks[row]));
            let ids: Vec<&Value> = shown["top"].as_array().unwrap().iter().map(|entry| &entry["token_id"]).collect();
            assert_eq!(json!(ids), json!(top[row]));
            let [p, q] = [0, 1].map(|model| token["models"][model]["logprob"].as_f64().unwrap());
            assert_eq!(token["pairs"][0]["delta_logprob"], json!(q - p));
        }
    }
    let text = scene.run("show out 7");
    text.expect(0, "").expect_out("sample 7, row 7 of demo by rl; P = rl, Q = base").expect_out("rank q");
    let panel = scene.run("show out 7 --token 1");
    panel.expect(0, "").expect_out("token 1").expect_out("base");
}

#[test]
fn what_cannot_be_shown_is_named() {
    let scene = scored(&rows(), "--top-k 4");
    scene.run("show out 99").expect(1, "`demo` by `rl` has no sample 99");
    scene.run("show out 7 --token 9999").expect(1, "sample 7 has no token 9999");
    scene.run("show out 7 --models other").expect(1, "`other` is not compared with P; models that are: `base`");
    scene.run("report out --models rl").expect(1, "`rl` is not compared with P");
    for page in ["out/runs/report.html", "out/tokens", "out/samples/new/page/"] {
        scene.run(&format!("report out -o {page}")).expect(1, "is in a folder of results: write the page elsewhere");
    }
    scene.run("report nowhere").expect(1, "nowhere");
    scene.run("report out -o page/ --max-size 1MB").expect(1, "--max-size is for a file");
    scene.run("report out --max-size 10kB").expect(1, "--max-size must be larger");
    scene.run("report out --max-size 0").expect(2, "a page has more bytes than that: give a size such as 25MB");
    scene.run("report out -o -").expect(1, "a page is written to a file, not to stdout");
    fs::create_dir(scene.path("folder")).unwrap();
    scene
        .run("report out -o folder")
        .expect(1, "this is a folder; folder/ writes the page with its data beside it there");
    assert!(!scene.path("-").exists() && fs::read_dir(scene.path("folder")).unwrap().next().is_none());
    assert!(!scene.path("report.html").exists());
}

#[test]
fn a_report_has_the_same_bytes_every_time() {
    let scene = scored(&many_rows(600), "--top-k 4");
    scene.run("report out -o a.html").expect(0, "600 of 600 responses");
    scene.run("report out -o b.html").expect(0, "");
    let page = fs::read(scene.path("a.html")).unwrap();
    assert!(page == fs::read(scene.path("b.html")).unwrap());
    scene.run("report out -o folder/").expect(0, "folder/report.html");
    let text = String::from_utf8(page).unwrap();
    let block = |number: usize| {
        let script = fs::read_to_string(scene.path(&format!("folder/data/b{number}.js"))).unwrap();
        script.split('"').nth(1).unwrap().to_owned()
    };
    for number in 0..4 {
        assert!(text.contains(&format!("id=\"b{number}\">{}</script>", block(number))), "block {number}");
    }
}

#[test]
fn a_limited_report_fits_and_says_what_is_left_out() {
    let scene = scored(&many_rows(600), "--top-k 4");
    scene.run("report out -o all.html").expect(0, "");
    let most = fs::metadata(scene.path("all.html")).unwrap().len() * 3 / 4;
    let said = scene.run(&format!("report out -o some.html --max-size {most}"));
    let page = fs::read_to_string(scene.path("some.html")).unwrap();
    assert!(page.len() as u64 <= most, "{} of {most}", page.len());
    assert!(!said.expect(0, "of 600 responses").stderr.contains("600 of 600"));
    assert!(page.contains("of 600 compared responses are in this page: half of its room"));
}

/// Names that a page would obey if it did not escape them.
#[test]
fn names_and_texts_are_never_markup() {
    let scene = Scene::new();
    let hostile = "</script><script>window.pwned=1</script><img src=x onerror=x>\u{202e}\u{2028}";
    scene.dataset("rl_demo.jsonl", &[json!({"input": hostile, "output": hostile, "<b>field": hostile})]);
    let tied = crate::common::fixture("qwen3-tied");
    let mut command =
        scene.command("score --engine mock --dataset rl_demo.jsonl --output-dir out --keep-fields <b>field");
    let models = format!("rl={0},<img_onerror>\"'={0}", tied.display());
    crate::common::said(command.args(["--models", &models])).expect(0, "");
    scene.run("report out").expect(0, "");
    let page = fs::read_to_string(scene.path("report.html")).unwrap();
    assert!(!page.contains("<img") && !page.contains("<script>window") && !page.contains("<b>field"));
    assert!(page.contains("&lt;img_onerror&gt;&quot;&#39;"));
    assert_eq!(page.matches("<script").count(), page.matches("</script").count());
}

/// The tables have no text of an end token, and only a tokenizer has those of ids that no response contains.
#[test]
fn texts_of_ids_come_from_the_tokenizer_that_the_log_names() {
    let scene = Scene::new();
    scene.dataset("rl_demo.jsonl", &rows());
    let models = format!("rl={0},base={0}", scene.model("model", "qwen3-tied").display());
    scene
        .run(&format!("score --engine mock --dataset rl_demo.jsonl --output-dir out --end auto --models {models}"))
        .expect(0, "");
    let path = scene.path("model/tokenizer.json");
    let tokenizer: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let added = tokenizer["added_tokens"].as_array().unwrap().iter().find(|token| token["id"] == 304).unwrap();
    let end = added["content"].as_str().unwrap();
    let shown = |what: &str| {
        scene.run("show out 7").expect(0, "").expect_out(what);
    };
    shown(&format!("{end}\n"));
    assert!(!scene.run("report out").expect(0, "").stderr.contains("shown as #ID"));
    let with_texts = fs::read(scene.path("report.html")).unwrap();
    scene.run("report out --tokenizer model/tokenizer.json").expect(0, "");
    assert!(with_texts == fs::read(scene.path("report.html")).unwrap(), "the same as with --tokenizer");

    let other = fs::read_to_string(&path).unwrap().replace(end, "<|other|>");
    fs::write(&path, other).unwrap();
    shown("⟨end⟩\n");
    scene.run("report out").expect(0, "shown as #ID");
    scene
        .run("show out 7 --tokenizer model/tokenizer.json")
        .expect(1, "this is not the tokenizer that made the token ids");
    fs::remove_dir_all(scene.path("out/logs")).unwrap();
    shown("⟨end⟩\n");
}

/// `tokshift view out`, its port and its key.
fn viewed(scene: &Scene) -> (crate::common::Running, String, String) {
    let mut running = scene.start("view out");
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (host, key) = line.trim().strip_prefix("http://").unwrap().split_once("/?key=").unwrap();
    (running, host.rsplit_once(':').unwrap().1.to_owned(), key.to_owned())
}

fn answer(port: &str, target: &str, headers: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn status(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[9..12]).into_owned()
}

/// The answer, once it has `status`.
fn once(port: &str, target: &str, wanted: &str) -> String {
    let headers = format!("Host: localhost:{port}\r\n");
    for _ in 0..600 {
        let found = answer(port, target, &headers);
        if status(&found) == wanted {
            return String::from_utf8_lossy(&found).into_owned();
        }
        assert!(["202", "404"].contains(&status(&found).as_str()), "{}", status(&found));
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{target} is never {wanted}");
}

#[test]
fn view_answers_before_the_tables_are_read_and_ends_with_their_error() {
    let scene = scored(&rows(), "--top-k 4");
    let tokens = "out/tokens/generation_model=rl/task=demo/model=base/part-00000000.parquet";
    let whole = fs::read(scene.path(tokens)).unwrap();
    fs::write(scene.path(tokens), &whole[..whole.len() / 2]).unwrap();
    let (running, ..) = viewed(&scene);
    let mut stderr = String::new();
    let mut running = running;
    running.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(1));
    assert!(stderr.contains("part-00000000.parquet"), "{stderr}");
    fs::write(scene.path(tokens), whole).unwrap();

    let (_running, port, key) = viewed(&scene);
    let first = String::from_utf8(answer(&port, &format!("/?key={key}"), "Host: localhost\r\n")).unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK"), "whatever is read so far");
    assert!(first.contains("parts are read") || first.contains("\"carrier\":\"http\""));
    let overview = once(&port, &format!("/overview?key={key}"), "200");
    let page = once(&port, &format!("/?key={key}"), "200");
    let html = overview.split("\r\n\r\n").nth(1).unwrap().strip_prefix("0\n").unwrap();
    assert!(html.contains("KL divergence by task") && page.contains(html), "the page has the same overview");
    assert!(page.contains("\"pending\":false"));
}

#[test]
fn connections_without_a_request_keep_no_page_waiting() {
    let scene = scored(&rows()[..6], "");
    let (_running, port, key) = viewed(&scene);
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).unwrap()).collect();
    let started = Instant::now();
    assert_eq!(status(&answer(&port, &format!("/?key={key}"), "Host: localhost\r\n")), "200");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(idle);
}

#[test]
fn view_answers_its_own_page_alone() {
    let scene = scored(&rows(), "--top-k 4");
    let (_running, port, key) = viewed(&scene);
    once(&port, &format!("/overview?key={key}"), "200");
    let own = format!("Host: localhost:{port}\r\n");
    let ask = |target: &str, headers: &str| answer(&port, target, headers);
    let page = String::from_utf8(ask(&format!("/?key={key}"), &own)).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("frame-ancestors 'none'"));
    assert!(page.contains("\"carrier\":\"http\"") && !page.contains("Access-Control"));

    scene.run("report out -o folder/").expect(0, "");
    let block = ask(&format!("/b/2?key={key}"), &own);
    let at = block.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let script = fs::read_to_string(scene.path("folder/data/b2.js")).unwrap();
    let expected = STANDARD.decode(script.split('"').nth(1).unwrap()).unwrap();
    assert!(block[at..] == expected, "a block is the one of the report");

    assert_eq!(status(&ask(&format!("/?key={key}"), "Host: evil.example\r\n")), "403");
    assert_eq!(status(&ask("/", &own)), "403");
    assert_eq!(status(&ask("/overview", &own)), "403");
    assert_eq!(status(&ask(&format!("/b/2?key={key}"), &format!("{own}Origin: http://evil.example\r\n"))), "403");
    assert_eq!(status(&ask(&format!("/b/../../etc/passwd?key={key}"), &own)), "404");
    assert_eq!(status(&ask(&format!("/b/9999?key={key}"), &own)), "404");
}

#[test]
fn completions_and_man_pages_have_every_command() {
    let scene = Scene::new();
    let commands = ["demo", "score", "kl", "report", "view", "show", "plot", "run", "status", "remove", "inspect"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = scene.run(&format!("completions {shell}"));
        for command in commands {
            script.expect(0, "").expect_out(command);
        }
        assert_eq!(script.stdout, scene.run(&format!("completions {shell}")).stdout, "the same every time");
    }
    scene.run("completions tcsh").expect(2, "possible values: bash, elvish, fish, powershell, zsh");
    scene.run("man share/man1").expect(0, "");
    for command in commands {
        let page = fs::read_to_string(scene.path(&format!("share/man1/tokshift-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(command), "{command}");
    }
    assert!(!scene.path("share/man1/tokshift-man.1").exists(), "`man` itself is for whoever packs tokshift");
}
