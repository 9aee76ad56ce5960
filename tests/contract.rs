//! The contract that the agent serves, judged by a program that we did not write: openapi-spec-validator, which `scripts/test.sh`
//! fetches (`SEALAGENT_PYTHON`). Where it is missing the rows are *ignored*. That each answer is what the contract says is checked for
//! every call of the other tests (common/contract.rs).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::http::openapi::DOCUMENT;
use serde_json::Value;

fn main() -> ExitCode {
    let python = std::env::var_os("SEALAGENT_PYTHON");
    let is_missing = !python.as_ref().is_some_and(|python| {
        Command::new(python)
            .args(["-c", "import openapi_spec_validator"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    });
    let python = python.unwrap_or_default();
    let judge = Trial::test("openapi_spec_validator_takes_the_contract_and_refuses_a_broken_one", move || {
        let accepts = |document: &Value| -> Result<bool, Failed> {
            let mut judge = Command::new(&python)
                .args(["-c", "import json, sys, openapi_spec_validator as judge; judge.validate(json.load(sys.stdin))"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            judge.stdin.take().unwrap().write_all(document.to_string().as_bytes())?;
            let output = judge.wait_with_output()?;
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            Ok(output.status.success())
        };
        if !accepts(&DOCUMENT)? {
            return Err("the judge refuses the contract".into());
        }
        for (what, pointer) in
            [("a parameter without its place", "/paths/~1v1~1tokens~1{tokenId}/parameters/0/in"), ("no title", "/info/title")]
        {
            let mut broken = DOCUMENT.clone();
            *broken.pointer_mut(pointer).ok_or("the contract has changed")? = Value::Null;
            if accepts(&broken)? {
                return Err(format!("the judge takes {what}").into());
            }
        }
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![judge.with_ignored_flag(is_missing)]).exit_code()
}
