//! `plimsoll migrate` as a user runs it.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::check::shell::{Folder, run};

const OLD: &str = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\nspec:\n  scaleTargetRef: {name: a}\n  triggers:\n  - type: redis  # mails\n    metadata:\n      address: redis:6379\n      listName: mails\n      enableTLS: \"true\"\n";

#[test]
fn the_new_text_goes_to_standard_output_and_what_differs_to_standard_error() {
    let (code, out, err) = run(&["migrate", "-", "--address", "plimsoll.scalers.svc:6000"], OLD);
    let new = OLD
        .replace("redis  # mails", "external-push  # mails")
        .replace(
            "      address",
            "      scalerAddress: plimsoll.scalers.svc:6000\n      scalerType: redis\n      address",
        )
        .replace("enableTLS: \"true\"", "tls: \"enable\"");
    assert_eq!((code, out), (0, new.clone()), "{err}");
    assert!(err.contains("`enableTLS` is now `tls: enable`") && err.contains("1 trigger moved"), "{err}");
    let (code, out, err) = run(&["migrate", "-"], &new);
    assert_eq!((code, out), (0, new), "{err}");
    assert!(err.contains("no built-in trigger that Plimsoll reads"), "{err}");
}

#[test]
fn a_diff_can_be_applied_and_changes_nothing_itself() {
    let folder = Folder::new("migrate-diff");
    let file = folder.file("a.yaml", OLD);
    let (code, out, _) = run(&["migrate", "--diff", &file], "");
    assert_eq!(code, 0);
    assert!(out.contains("-  - type: redis  # mails\n+  - type: external-push  # mails\n"), "{out}");
    assert!(out.starts_with("--- a/") && out.contains("\n@@ -4,8 +4,10 @@"), "{out}");
    assert_eq!(fs::read_to_string(&file).unwrap(), OLD);
}

#[test]
fn files_are_changed_in_their_place_with_their_rights() {
    let folder = Folder::new("migrate-in-place");
    let (old, other) = (folder.file("a.yaml", OLD), folder.file("b.yaml", "a: b\n"));
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.yaml");
    std::os::unix::fs::symlink(&old, &link).unwrap();
    let (code, out, err) = run(&["migrate", "--in-place", link.to_str().unwrap(), &other], "");
    assert_eq!(code, 0, "{out}{err}");
    assert!(fs::read_to_string(&old).unwrap().contains("scalerType: redis"));
    assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&other).unwrap(), "a: b\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left there");
}

#[test]
fn the_exit_code_says_how_it_went() {
    let folder = Folder::new("migrate-exit");
    let (one, two) = (folder.file("a.yaml", OLD), folder.file("b.yaml", OLD));
    for (args, input, code) in [
        (&["migrate", "-"][..], OLD.replace("mails\n      ", "{{ x }}\n      ").as_str(), 1),
        (&["migrate", "-"], "{{ if x }}\na: [\n", 2),
        (&["migrate", "/nowhere.yaml"], "", 2),
        (&["migrate", "-", "--in-place"], OLD, 2),
        (&["migrate", "-", "--address", "plimsoll"], OLD, 2),
        (&["migrate", "-", "--address", "http://plimsoll:1"], OLD, 2),
        (&["migrate", &one, &two], "", 2),
        (&["migrate", &one, &two, "--diff"], "", 0),
        (&["migrate", &one, &two, "--output", "json"], "", 0),
    ] {
        let (got, out, err) = run(args, input);
        assert_eq!(got, code, "{args:?}\n{out}{err}");
    }
}

#[test]
fn json_holds_the_new_texts_and_what_differs() {
    let (_, out, _) = run(&["migrate", "-", "-o", "json"], OLD);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[0]["changed"], true);
    assert!(json[0]["text"].as_str().unwrap().contains("scalerType: redis"));
    assert_eq!(json[0]["triggers"][0]["line"], 7);
    assert_eq!(json[0]["triggers"][0]["trigger"], "trigger 1 (redis)");
}
