//! Guardrails as scripts meet them: exit codes, what is printed, what a plan changes (nothing), what is written.

use std::fs;

use serde_json::Value;

use super::cli::Desk;
use super::prove::guarded;
use super::world::World;

/// A desk whose configuration has a policy.
fn desk(world: &World) -> Desk {
    let desk = Desk::new(world);
    let policy = "\n[policy.shared]\nconnection_limit = 40\nstatement_timeout = \"30s\"\nlock_timeout = \"5s\"\n\
                  idle_in_transaction_session_timeout = \"60s\"\n\n[tenant.globex]\nconnection_limit = 80\n";
    let path = desk.config();
    fs::write(&path, fs::read_to_string(&path).unwrap() + policy).unwrap();
    desk
}

fn document(desk: &Desk, line: &str, code: i32) -> Value {
    serde_json::from_str(&desk.says(line, code).0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn guardrails_from_a_script() {
    let world = World::start().await;
    // Without a policy there is nothing to apply.
    assert!(Desk::new(&world).says("guardrails acme --plan", 2).1.contains("the policy wants nothing"));
    let desk = desk(&world);
    let start = world.settled().await;
    for (line, code, words) in [
        ("guardrails", 2, "whom?"),
        ("guardrails acme --all", 2, "cannot be used with"),
        ("guardrails Acme --plan", 2, "lower-case"),
        ("guardrails nobody --plan", 3, "has no login of nobody"),
        ("guardrails initech --plan", 3, "works as portarium_shared"),
        ("guardrails acme --plan --instance other", 2, "\"other\""),
        ("guardrails acme --confirm acme", 3, "--allow-actions"),
        ("--allow-actions guardrails acme", 2, "--confirm acme"),
        ("--allow-actions guardrails acme --confirm globex", 3, "nothing was done"),
        ("--allow-actions guardrails --all --confirm acme", 3, "nothing was done"),
    ] {
        let (out, err) = desk.says(line, code);
        assert!(err.contains(words) && out.is_empty(), "{line}: {out}{err}");
    }
    let (text, _) = desk.says("guardrails acme --plan", 0);
    assert!(text.contains("ALTER ROLE \"role_acme\" SET lock_timeout = '5s';") && text.contains("type acme"), "{text}");
    let plan = document(&desk, "guardrails --all --plan --json", 0);
    assert_eq!((&plan["plan"]["kind"], &plan["plan"]["confirm"]), (&"guardrails".into(), &"shared".into()));
    assert!(plan["text"].as_str().unwrap().contains("ALTER ROLE \"role_globex\" CONNECTION LIMIT 80;"));
    assert_eq!(world.settled().await, start, "a plan changes nothing");
    assert!(!desk.home.path().join("state/operations").exists());

    // A throttle in force is not lifted in passing: said what to do, and everybody else gets what the policy wants.
    desk.says("--allow-actions act throttle acme --connections 7 --confirm acme", 0);
    let (_, err) = desk.says("guardrails acme --plan", 3);
    assert!(err.contains("acme is throttled by operation") && err.contains("tierdeck act unthrottle acme"), "{err}");
    let (text, _) = desk.says("guardrails --all --plan", 0);
    assert!(text.contains("left as it is: acme is throttled by operation"), "{text}");
    assert!(text.contains("role_globex") && !text.contains("ALTER ROLE \"role_acme\""), "{text}");
    desk.says("--allow-actions act unthrottle acme --confirm acme", 0);

    let report = document(&desk, "--allow-actions guardrails --all --confirm shared --json", 0);
    assert_eq!((&report["state"], &report["can_roll_back"]), (&"succeeded".into(), &true.into()));
    assert!(desk.says("guardrails --all --plan", 3).1.contains("has what the policy wants"));
    let id = report["id"].as_str().unwrap();
    assert!(desk.says(&format!("--allow-actions ops rollback {id} --confirm shared"), 0).0.contains("rolled back"));
    assert_eq!(world.settled().await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_from_a_script() {
    let world = World::start().await;
    guarded(&world).await;
    let desk = desk(&world);
    let start = world.settled().await;
    for (line, code, words) in [
        ("guardrails prove", 2, "required"),
        ("guardrails prove acme --all", 2, "cannot be used with"),
        ("guardrails prove Acme --plan", 2, "lower-case"),
        ("guardrails prove nobody --plan", 3, "has no login that nobody works as"),
        ("guardrails prove acme --confirm acme", 3, "--allow-actions"),
        ("--allow-actions guardrails prove acme", 2, "--confirm acme"),
        ("--allow-actions guardrails prove acme --confirm globex", 3, "nothing was done"),
        (
            "--allow-actions guardrails prove acme --evidence secret/of --confirm acme",
            2,
            "cannot make the folder secret/of: Not a directory",
        ),
    ] {
        let (out, err) = desk.says(line, code);
        assert!(err.contains(words) && out.is_empty(), "{line}: {out}{err}");
    }
    // Waited for where nobody asks for less; the plan says how long.
    let (text, _) = desk.says("guardrails prove acme --plan", 0);
    assert!(
        text.contains("pg_sleep(31)") && text.contains("nothing, for 61 s") && text.contains("for about 100 s"),
        "{text}"
    );
    assert_eq!(document(&desk, "guardrails prove acme --quick --plan --json", 0)["plan"]["kind"], "prove");
    let plans = document(&desk, "guardrails prove --all --quick --plan --json", 0);
    assert_eq!(plans["plans"].as_array().unwrap().len(), 3);
    assert_eq!(plans["plans"][0]["plan"]["confirm"], "shared");
    assert_eq!(world.settled().await, start, "a plan changes nothing");

    // Its folder need not be there.
    let line = "--allow-actions guardrails prove acme --quick --evidence evidence --confirm acme";
    let (out, err) = desk.says(line, 0);
    assert!(out.contains("acme, which works as role_acme: held") && out.contains("53300"), "{out}");
    assert!(err.contains("wrote evidence/prove-acme-") && err.contains("step 3: statement_timeout: "), "{err}");
    let mut files: Vec<_> =
        fs::read_dir(desk.home.path().join("evidence")).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let [json, markdown] = files.as_slice() else { panic!("{files:?}") };
    let evidence: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&evidence["verdict"], &evidence["temporary_login_removed"]), (&"held".into(), &true.into()));
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("| idle_in_transaction_session_timeout | held | 25P03"), "{markdown}");
    let id = evidence["operation"].as_str().unwrap();
    assert!(desk.says(&format!("ops report {id}"), 0).0.contains("Limits and isolation of acme: held"));
    assert_eq!(document(&desk, &format!("ops report {id} --json"), 0)["evidence"], evidence);
    assert!(desk.says(&format!("--allow-actions ops rollback {id}"), 3).1.contains("is over"));
    assert_eq!(world.settled().await, start);

    // What does not hold is exit 1, and said on one document and nothing else.
    world.boss.batch_execute("GRANT CREATE ON SCHEMA public TO role_acme").await.unwrap();
    let evidence = document(&desk, "--allow-actions guardrails prove acme --quick --confirm acme --json", 1);
    let broken: Vec<&Value> =
        evidence["controls"].as_array().unwrap().iter().filter(|it| it["verdict"] == "not_held").collect();
    assert!(broken.len() == 1 && broken[0]["control"] == "isolation: create in public", "{broken:#?}");
    world.boss.batch_execute("REVOKE CREATE ON SCHEMA public FROM role_acme").await.unwrap();
    // Of everybody: an operation each; who works as everybody is not kept from anybody.
    let proofs = document(&desk, "--allow-actions guardrails prove --all --quick --confirm shared --json", 1);
    let verdicts: Vec<(&Value, &Value)> =
        proofs["proofs"].as_array().unwrap().iter().map(|it| (&it["tenant"], &it["verdict"])).collect();
    let expected: [(Value, Value); 3] =
        [("acme", "held"), ("globex", "not_held"), ("initech", "not_held")].map(|(id, word)| (id.into(), word.into()));
    assert_eq!(verdicts, expected.iter().map(|(id, word)| (id, word)).collect::<Vec<_>>());
    assert_eq!(world.settled().await, start);
    // Of its passwords the server heard the verifiers alone.
    let log = world.server.log();
    let told: Vec<&str> =
        log.lines().filter(|it| it.contains("\"tierdeck_prove_") && it.contains(" PASSWORD ")).collect();
    assert!(told.len() > 40, "{}", told.len());
    for line in told {
        assert!(line.contains("PASSWORD 'SCRAM-SHA-256$4096:") || line.ends_with("PASSWORD NULL"), "{line}");
    }
}
