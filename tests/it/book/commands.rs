//! What the pages tell people to type: commands and options of the program, its variables, `make`'s targets, files, values of the
//! chart, series. Each must be there.

use std::{collections::HashSet, fs, path::Path};

use clap::CommandFactory;
use plimsoll::cli::Cli;
use yaml_rust2::{Yaml, YamlLoader};

use super::{files, pages};

/// Options of other programs that the pages name by themselves.
const OTHERS: [&str; 12] = [
    "--add",
    "--operation",
    "--kube-api-qps",
    "--kube-api-burst",
    "--service-account-token-mode",
    "--vault-kubernetes-auth-token-file",
    "--web.config.file",
    "--filepath-auth-root-path",
    "--build-arg",
    "--enable-feature",
    "--reset-then-reuse-values",
    "--wait",
];

/// Every command that the pages tell to type: where, and its words.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for page in pages() {
        for fence in page.fences() {
            let typed: Vec<&str> = match fence.language.as_str() {
                "sh" | "bash" => fence.text.lines().collect(),
                // What is typed, and what is answered.
                "console" => fence.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect(),
                _ => continue,
            };
            for line in typed.join("\n").replace("\\\n", " ").lines() {
                found.extend(words(line).into_iter().map(|words| (fence.place.clone(), words)));
            }
        }
        for span in page.spans().into_iter().filter(|span| span.starts_with("plimsoll ") || span.starts_with("make ")) {
            found.extend(words(&span).into_iter().map(|words| (page.path.display().to_string(), words)));
        }
    }
    found
}

/// The commands of a line, without its comment and what it sets before them.
fn words(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut command, mut word, mut quote) = (Vec::new(), Vec::new(), String::new(), None);
    for letter in line.chars().chain([' ', ';']) {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (Some(_), _) => word.push(letter),
            (None, '\'' | '"') => quote = Some(letter),
            (None, ' ') if !word.is_empty() => command.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            (None, '#') if word.is_empty() => break,
            (None, '|' | ';' | '&' | '(' | ')') => {
                if !word.is_empty() {
                    command.push(std::mem::take(&mut word));
                }
                commands.push(std::mem::take(&mut command));
            }
            (None, _) => word.push(letter),
        }
    }
    commands.push(command);
    let set = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|it| it.is_ascii_uppercase() || it == '_'))
    };
    let ours = commands.into_iter().map(|words| words.into_iter().skip_while(set).collect::<Vec<_>>());
    ours.filter(|words| !words.is_empty()).collect()
}

/// What the program itself is told by a command, if it is one of its own.
fn told(words: &[String]) -> Option<&[String]> {
    let program = |word: &String| word == "plimsoll" || word.ends_with("/plimsoll");
    match words {
        [first, rest @ ..] if program(first) => Some(rest),
        [first, second, rest @ ..] if first == "cargo" && second == "run" => {
            Some(rest.iter().position(|word| word == "--").and_then(|at| rest.get(at + 1..)).unwrap_or(&[]))
        }
        _ => None,
    }
}

/// Whether the program has the commands and options of `told`.
fn follow(told: &[String]) -> Result<(), String> {
    let mut cli = Cli::command();
    cli.build();
    let mut command = &cli;
    for word in told {
        let word = word.trim_matches(['[', ']']);
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap();
            let known = command.get_arguments().any(|its| its.get_long() == Some(name));
            if !known && !["help", "version"].contains(&name) {
                return Err(format!("`{}` has no option --{name}", command.get_name()));
            }
        } else if command.has_subcommands()
            && !word.starts_with('-')
            && word.starts_with(|it: char| it.is_ascii_lowercase())
        {
            command = command.find_subcommand(word).ok_or_else(|| format!("there is no command {word}"))?;
        }
    }
    Ok(())
}

/// The program's options and the variables that stand for them.
fn known() -> (HashSet<String>, HashSet<String>) {
    let mut cli = Cli::command();
    cli.build();
    let commands = [&cli]
        .into_iter()
        .chain(cli.get_subcommands())
        .chain(cli.get_subcommands().flat_map(clap::Command::get_subcommands));
    let (mut options, mut variables) = (HashSet::new(), HashSet::new());
    for argument in commands.flat_map(clap::Command::get_arguments) {
        options.extend(argument.get_long().map(|name| format!("--{name}")));
        variables.extend(argument.get_env().map(|name| name.to_str().unwrap().to_owned()));
    }
    (options, variables)
}

#[test]
fn every_command_and_option_of_ours_in_the_pages_is_one() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (place, words) in commands() {
        if let Some(told) = told(&words) {
            followed += 1;
            wrong.extend(follow(told).err().map(|error| format!("{place}: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(followed > 5, "only {followed} were found");
}

#[test]
fn every_option_and_variable_that_the_pages_name_is_one() {
    let (options, variables) = known();
    let mut wrong = Vec::new();
    for page in pages() {
        for span in page.spans() {
            let option = span.split([' ', '=']).next().unwrap();
            if option.starts_with("--")
                && option.len() > 2
                && page.path.starts_with("docs")
                && !options.contains(option)
                && !OTHERS.contains(&option)
            {
                wrong.push(format!("{}: {option}", page.path.display()));
            }
        }
        for tail in page.text.split("PLIMSOLL_").skip(1) {
            let end = tail.find(|it: char| !(it.is_ascii_uppercase() || it == '_' || it.is_ascii_digit()));
            let name = format!("PLIMSOLL_{}", tail.get(..end.unwrap_or(tail.len())).unwrap());
            // `PLIMSOLL_` alone is the beginning of all, and the tests have variables of their own.
            if !variables.contains(&name) && name != "PLIMSOLL_" && !page.path.starts_with("tests") {
                wrong.push(format!("{}: {name}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such option or variable: {wrong:#?}");
}

#[test]
fn every_target_and_file_that_a_command_names_is_there() {
    let makefile = fs::read_to_string("Makefile").unwrap();
    let mut wrong = Vec::new();
    for (place, words) in commands() {
        if let [make, target, ..] = words.as_slice()
            && make == "make"
            && target.chars().all(|it| it.is_ascii_lowercase() || it == '-')
            && !makefile.contains(&format!("\n{target}:"))
        {
            wrong.push(format!("{place}: make {target}"));
        }
        for word in &words {
            let path = word.trim_start_matches("./");
            let ours =
                ["deploy/", "tests/", "docs/", "src/", ".ci/", "fuzz/"].iter().any(|folder| path.starts_with(folder));
            if ours && !path.contains(['*', '$', '…']) && !Path::new(path).exists() {
                wrong.push(format!("{place}: {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not there: {wrong:#?}");
}

#[test]
fn every_value_that_a_command_sets_is_one_of_the_chart() {
    let values = YamlLoader::load_from_str(&fs::read_to_string("deploy/chart/plimsoll/values.yaml").unwrap()).unwrap();
    for (place, words) in commands().into_iter().filter(|(_, words)| words.first().is_some_and(|first| first == "helm"))
    {
        for (option, set) in words.iter().zip(words.iter().skip(1)) {
            if option == "--set" && words.iter().any(|word| word == "plimsoll") {
                for name in set.split(',').filter_map(|pair| pair.split('=').next()) {
                    let mut value = &values[0];
                    for part in name.split('.').map(|part| part.split(['{', '[']).next().unwrap()) {
                        // What is empty takes any key.
                        value = if value.as_hash().is_some_and(|map| map.is_empty()) { value } else { &value[part] };
                        assert!(*value != Yaml::BadValue, "{place}: the chart has no value {name}");
                    }
                }
            }
        }
    }
}

/// A series is declared by its name without prefix, unit and `_total`.
#[test]
fn every_series_that_the_pages_name_is_exported() {
    let declared: String = files("src/telemetry", "rs").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut wrong = Vec::new();
    for page in pages().into_iter().filter(|page| !page.path.starts_with("tests")) {
        for tail in page.text.split("plimsoll_").skip(1) {
            let end = tail.find(|it: char| !(it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit()));
            let name = tail.get(..end.unwrap_or(tail.len())).unwrap();
            let mut base = name;
            for end in ["_bucket", "_sum", "_count", "_total", "_seconds", "_bytes", "_info"] {
                base = base.strip_suffix(end).unwrap_or(base);
            }
            if !base.is_empty() && ![name, base].iter().any(|name| declared.contains(&format!("\"{name}\""))) {
                wrong.push(format!("{}: plimsoll_{name}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such series: {wrong:#?}");
}

#[test]
fn a_command_that_is_not_there_is_found() {
    let check = |line: &str| words(line).iter().filter_map(|words| told(words).map(follow)).collect::<Vec<_>>();
    assert_eq!(check("RUST_LOG=debug plimsoll serve --listen 127.0.0.1:6000 | tee log"), [Ok(())]);
    assert_eq!(check("cargo run --release -- config check FILE   # says so"), [Ok(())]);
    assert!(check("plimsoll serv")[0].is_err());
    assert!(check("true && target/debug/plimsoll serve --lisen x")[0].is_err());
    assert!(check("helm install plimsoll deploy/chart/plimsoll --wait").is_empty());
}
