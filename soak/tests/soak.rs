//! A short soak finds nothing, and one with a broken carrier finds that.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Whether the run was sound, and its report.
fn soak(arguments: &[&str]) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_soak"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["--no-memory", "--requests", "1800", "--update", "3"])
        .args(arguments)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.success(), report)
}

fn sum(report: &Value, field: &str) -> u64 {
    report["modes"].as_array().unwrap().iter().map(|mode| mode[field].as_u64().unwrap()).sum()
}

#[test]
fn a_sound_mesh_passes() {
    let (sound, report) = soak(&[]);
    assert!(sound, "{report:#}");
    assert_eq!(
        (sum(&report, "requests"), sum(&report, "crossed"), sum(&report, "failed")),
        (1800, 0, 0)
    );
    assert!(report["replaced"].is_string() && report["killed"].is_object(), "{report:#}");
    // As the design says of `none`: a baseline pod whose application forwards nothing.
    assert!(sum(&report, "lostAsAnnounced") > 0);
    assert_eq!(sum(&report, "lost"), sum(&report, "lostAsAnnounced"));
}

#[test]
fn a_broken_carrier_is_reported() {
    for carrier in ["request-id", "baggage", "trace-id", "remembered"] {
        let (sound, report) = soak(&["--break", carrier]);
        assert!(!sound, "{carrier}: {report:#}");
        assert!(sum(&report, "lost") > sum(&report, "lostAsAnnounced"), "{carrier}: {report:#}");
        let faults = report["faults"].to_string();
        assert!(faults.contains("lost their track"), "{carrier}: {faults}");
    }
}
