//! The command line: what people type and read, and what scripts see.
//!
//! Owns clap, messages and exit codes. A command checks its options and calls the library.

mod args;
mod completions;
mod demo;
mod exit;
mod export;
mod import;
mod inspect;
mod kl;
mod plot;
mod progress;
mod remove;
mod render;
mod response_sets;
mod report;
mod run;
mod score;
mod screen;
mod show;
mod signals;
mod status;
mod terminal;
mod verify;
mod view;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use args::{Args, Command, LogFormat};
use exit::describe;

/// Parses the command line and runs it. Exit codes: 0 done; 1 an error, printed, or damaged results; 2 wrong usage; 3 a
/// statistic does not keep its limit; 4 done, but rows of the data were not scored; 5 a statistic is not known to keep
/// its limit; 130 and 143 ended by SIGINT or SIGTERM.
pub fn main() -> ExitCode {
    let args = Args::parse();
    limit_threads(args.threads());
    hush_panics();
    log(args.verbose, args.log_format);
    let outcome = signals::install().map_err(anyhow::Error::from).and_then(|()| match &args.command {
        Command::Demo(args) => demo::run(args),
        Command::Score(args) => score::run(args),
        Command::Kl(args) => kl::run(args),
        Command::Report(args) => report::run(args),
        Command::View(args) => view::run(args),
        Command::Show(args) => show::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::run(args),
        Command::Remove(args) => remove::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Render(args) => render::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => completions::man(args),
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            progress::say_error(&describe(&error));
            let stopped = error.downcast_ref().is_some_and(crate::Error::is_stopped);
            signals::exit_code().filter(|_| stopped).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// Log messages on stderr: warnings, and tokshift's own messages if requested. Those of libraries are left out.
fn log(verbose: u8, format: LogFormat) {
    let filter = match verbose {
        0 => "warn",
        1 => "warn,tokshift=info",
        _ => "warn,tokshift=debug",
    };
    let subscriber = |filter: &str| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| progress::Stderr).with_ansi(false);
        subscriber.with_env_filter(EnvFilter::new(filter))
    };
    match format {
        LogFormat::Text => subscriber(filter).without_time().with_target(false).init(),
        LogFormat::Json => {
            progress::say_as_json();
            subscriber(&format!("{filter},{}=info", progress::TOLD)).json().init();
        }
    }
}

/// Panics of a stage come back as errors with the stage's name; the default report would print them twice. One of the
/// main thread is reported by this hook alone.
fn hush_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        return;
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("main") {
            report(panic);
        }
    }));
}

/// Sets the number of threads of libraries with their own thread pools, which read it from the environment once, when
/// they first work.
fn limit_threads(threads: Option<usize>) {
    let Some(threads) = threads else { return };
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "POLARS_MAX_THREADS"] {
        // SAFETY: called before any other thread exists, so no thread reads the environment meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(name, threads.to_string());
        }
    }
}
