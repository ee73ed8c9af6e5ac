//! `report`, `view`, `show` and `plot`: the same numbers as the tables, the same bytes every time, and no text of data as
//! markup. `scripts/check-report.sh` looks at pages in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

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

#[test]
fn view_answers_its_own_page_alone() {
    let scene = scored(&rows(), "--top-k 4");
    let mut running = scene.start("view out");
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (host, key) = line.trim().strip_prefix("http://").unwrap().split_once("/?key=").unwrap();
    let port = host.rsplit_once(':').unwrap().1;
    let ask = |target: &str, headers: &str| {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\n{headers}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    let own = format!("Host: localhost:{port}\r\n");
    let status = |answer: Vec<u8>| String::from_utf8_lossy(&answer[9..12]).into_owned();
    let page = String::from_utf8(ask(&format!("/?key={key}"), &own)).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("frame-ancestors 'none'"));
    assert!(page.contains("\"carrier\":\"http\"") && !page.contains("Access-Control"));

    scene.run("report out -o folder/").expect(0, "");
    let block = ask(&format!("/b/2?key={key}"), &own);
    let at = block.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let script = fs::read_to_string(scene.path("folder/data/b2.js")).unwrap();
    let expected = STANDARD.decode(script.split('"').nth(1).unwrap()).unwrap();
    assert!(block[at..] == expected, "a block is the one of the report");

    assert_eq!(status(ask(&format!("/?key={key}"), "Host: evil.example\r\n")), "403");
    assert_eq!(status(ask("/", &own)), "403");
    assert_eq!(status(ask(&format!("/b/2?key={key}"), &format!("{own}Origin: http://evil.example\r\n"))), "403");
    assert_eq!(status(ask(&format!("/b/../../etc/passwd?key={key}"), &own)), "404");
    assert_eq!(status(ask(&format!("/b/9999?key={key}"), &own)), "404");
}
