//! T34: a whole set-up from files.

use std::path::Path;

use serde_json::Value;

use crate::common::TestNode;
use crate::common::eventually;
use crate::common::tree::{assert_same, write};
use crate::rig::{Pair, REL, bytes, noise, paired, until_same};

fn apply(node: &TestNode, file: &Path) -> Value {
    node.run(["rel", "apply", file.to_str().unwrap(), "--yes", "--json"]).ok().json()["relationships"].take()
}

fn outcomes(applied: &Value) -> Vec<(&str, &str)> {
    let all = applied.as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect()
}

#[test]
fn t34_set_up_of_hub_and_members_comes_from_files_and_a_second_time_changes_nothing() {
    let (hub, spoke) = paired();
    let (a, project) = (hub.folder("a"), hub.folder("project"));
    let (b, clone) = (spoke.folder("b"), spoke.folder("clone"));
    write(&a, "one", noise(1, 400_000));
    write(&project, "Data/one", "1");
    let hub_file = hub.folder("files").join("hub.toml");
    let text = format!(
        "[[relationship]]\nname = \"code\"\nkind = \"two-way\"\npath = \"../a\"\n\
         settings = {{ exclude = [\"*.tmp\", \"cache/\"], \"versions.keep\" = \"60d\" }}\n\n\
         [[relationship]]\nname = \"project\"\nkind = \"manual\"\npath = {project:?}\n"
    );
    std::fs::write(&hub_file, text).unwrap();
    assert_eq!(outcomes(&apply(&hub, &hub_file)), [("code", "shared"), ("project", "shared")]);
    let spoke_file = spoke.folder("files").join("spoke.toml");
    let text = format!(
        "[[relationship]]\nname = \"code\"\nkind = \"two-way\"\nhub = \"desk\"\npath = {b:?}\n\
         [relationship.settings]\n\"hook.timeout\" = \"2m\"\n\n\
         [[relationship]]\nname = \"project\"\nkind = \"manual\"\nhub = \"desk\"\npath = {clone:?}\ntracked = [\"Data\"]\n"
    );
    std::fs::write(&spoke_file, text).unwrap();
    assert_eq!(outcomes(&apply(&spoke, &spoke_file)), [("code", "joined"), ("project", "joined")]);
    until_same(&a, &b);
    spoke.run(["pull", "project"]).ok();
    assert_same(&project, &clone);
    assert_eq!(spoke.json(["track", "project"])["tracked"][0]["path"], "Data");

    // Again: nothing changes, and that is said.
    let counted = bytes(&spoke, &hub);
    for (node, file) in [(&hub, &hub_file), (&spoke, &spoke_file)] {
        assert_eq!(outcomes(&apply(node, file)), [("code", "unchanged"), ("project", "unchanged")]);
        node.run(["rel", "apply", file.to_str().unwrap()]).ok().says("nothing was changed");
    }
    assert!(bytes(&spoke, &hub) - counted < 100_000, "something was sent again");
    // What is exported is the same set-up.
    for (node, file) in [(&hub, "hub2.toml"), (&spoke, "spoke2.toml")] {
        let exported = node.run(["rel", "export"]).ok().stdout;
        let file = node.folder("files").join(file);
        std::fs::write(&file, &exported).unwrap();
        assert_eq!(
            outcomes(&apply(node, &file)),
            [("code", "unchanged"), ("project", "unchanged")],
            "{exported}"
        );
    }
}

#[test]
fn t34_edited_file_takes_effect_without_resending() {
    let pair = Pair::two_way(|a| write(a, "large", noise(34, 2_000_000)));
    let exported = pair.hub.run(["rel", "export", REL]).ok().stdout;
    let file = pair.hub.folder("files").join("code.toml");
    std::fs::write(&file, format!("{exported}\n[settings]\nexclude = [\"*.tmp\"]\n")).unwrap();
    let counted = pair.bytes();
    let applied = apply(&pair.hub, &file);
    assert_eq!(
        (outcomes(&applied), &applied[0]["changes"][0]),
        (vec![("code", "changed")], &"exclude".into())
    );
    eventually("the spoke has the setting", || {
        pair.spoke.run(["rel", "show", REL]).ok().stdout.contains("*.tmp")
    });
    write(&pair.b, "x.tmp", "stays");
    write(&pair.b, "x.txt", "travels");
    eventually("what is not excluded travels", || pair.a.join("x.txt").exists());
    pair.sync();
    assert!(!pair.a.join("x.tmp").exists());
    assert!(pair.bytes() - counted < 500_000, "something was sent again");
    // What the file leaves out again is as the kind suggests.
    std::fs::write(&file, exported).unwrap();
    assert_eq!(outcomes(&apply(&pair.hub, &file)), [("code", "changed")]);
    eventually("what was excluded travels", || pair.a.join("x.tmp").exists());
}

#[test]
fn t34_wrong_key_is_named_with_file_and_line_and_nothing_is_made() {
    let (hub, spoke) = paired();
    let (a, b) = (hub.folder("a"), hub.folder("b"));
    let file = hub.folder("files").join("wrong.toml");
    let good = format!("[[relationship]]\nname = \"good\"\nkind = \"two-way\"\npath = {a:?}\n");
    let path = file.to_str().unwrap();
    for (wrong, line, named) in [
        ("[relationship.settings]\nexlude = [\"x\"]", 11, "exlude"),
        ("[relationship.settings]\n\n\"limit.up\" = \"fast\"", 12, "limit.up"),
        ("pth = \"x\"", 10, "pth"),
        ("hub = 5", 10, "hub"),
    ] {
        let bad = format!("[[relationship]]\nname = \"bad\"\nkind = \"mirror\"\npath = {b:?}\n{wrong}\n");
        std::fs::write(&file, format!("{good}\n{bad}")).unwrap();
        let refused = hub.run(["rel", "apply", path]).exits(2);
        assert!(refused.stderr.contains(&format!("{path}, line {line}")), "{line}: {refused:#?}");
        assert!(refused.stderr.contains(named), "{named}: {refused:#?}");
    }
    assert_eq!(hub.json(["rel", "list"])["relationships"].as_array().unwrap().len(), 0);
    // What a joined endpoint cannot set is named, too.
    std::fs::write(&file, &good).unwrap();
    apply(&hub, &file);
    let own = spoke.folder("own");
    let file = spoke.folder("files").join("spoke.toml");
    let text = format!("name = \"good\"\nkind = \"two-way\"\nhub = \"desk\"\npath = {own:?}\n");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(outcomes(&apply(&spoke, &file)), [("good", "joined")]);
    std::fs::write(&file, format!("{text}[settings]\nconflict = \"newest\"\n")).unwrap();
    let refused = spoke.run(["rel", "apply", file.to_str().unwrap()]).exits(2);
    assert!(refused.stderr.contains("conflict") && refused.stderr.contains("desk"), "{refused:#?}");
}
