//! Manifests that cannot be what somebody meant: file, object, field and reason are named.

use mesh::manifest::Manifests;
use mesh::translate::{self, Proxy, Registry, Role};
use std::collections::BTreeMap;
use std::fs;

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: forecast, namespace: weather}
spec: {selector: {app: forecast}, ports: [{name: http, port: 3002}, {name: more, port: 3003}]}
";

const PLUGIN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: NAME, namespace: istio-system}
spec: {url: 'oci://registry.example.com/x', pluginConfig: {}}
";

fn virtual_service(hosts: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: forecast, namespace: weather}}
spec: {{hosts: {hosts}, http: [{http}]}}
"
    )
}

/// The error for these documents, as one file `all.yaml`; the folder is left out.
fn refusal(documents: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    fs::write(&file, documents.join("---\n")).unwrap();
    let proxy = Proxy {
        name: "frontend-v1-0".into(),
        namespace: "weather".into(),
        labels: BTreeMap::from([("app".into(), "frontend".into())]),
        role: Role::Sidecar { outbound: ([127, 0, 0, 1], 1).into(), inbound: Vec::new() },
        admin: ([127, 0, 0, 1], 2).into(),
        stat_tags: Vec::new(),
    };
    let outcome = Manifests::load([&file]).and_then(|manifests| {
        let registry = Registry::new(&manifests, &[]);
        translate::routes(&proxy, &registry)?;
        translate::filter(&proxy, &registry, None)
    });
    let error = outcome.expect_err("refused").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_is_wrong_is_named() {
    let route = "{route: [{destination: {host: forecast, port: {number: 3002}}}]}";
    let cases: [(&[&str], &str); 10] = [
        (
            &[&virtual_service(
                "[forecast]",
                "{route: [{destination: {host: forecast}}], fault: {}}",
            )],
            "all.yaml: VirtualService weather/forecast: spec.http[0].fault: unknown field `fault`",
        ),
        (
            &[&virtual_service(
                "[forecast]",
                "{route: [], match: [{headers: {a: {exact: b, prefix: c}}}]}",
            )],
            "all.yaml: VirtualService weather/forecast: spec.http[0].match[0].headers.a: more than one",
        ),
        (
            &[
                SERVICE,
                &virtual_service("[forecast]", "{route: [{destination: {host: forecast}}]}"),
            ],
            "all.yaml: VirtualService weather/forecast: spec.http[0].route[0].destination.port: must name one of",
        ),
        (
            &[SERVICE, &virtual_service("[forecast]", "{route: [{destination: {host: other}}]}")],
            "all.yaml: VirtualService weather/forecast: spec.http[0].route[0].destination.host: there is no Service `other`",
        ),
        (
            &[SERVICE, &virtual_service("[forecast]", "{route: []}")],
            "all.yaml: VirtualService weather/forecast: spec.http[0].route: must name a destination",
        ),
        (
            &[SERVICE, &virtual_service("['*']", route)],
            "all.yaml: VirtualService weather/forecast: spec.hosts[0]: there is no Service `*`",
        ),
        (
            &[SERVICE, &virtual_service("[forecast, forecast.weather.svc.cluster.local]", route)],
            "all.yaml: VirtualService weather/forecast: spec.hosts[1]: a second VirtualService",
        ),
        (
            &[&PLUGIN.replace("NAME", "one"), &PLUGIN.replace("NAME", "two")],
            "all.yaml: WasmPlugin istio-system/two: spec.selector: a second plugin",
        ),
        (
            &["apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\nmetadata: {name: x}\n"],
            "all.yaml: EnvoyFilter default/x: kind: networking.istio.io/v1 EnvoyFilter means nothing",
        ),
        (&["a: [\n"], "all.yaml: not valid YAML: "),
    ];
    for (documents, expected) in cases {
        let refusal = refusal(documents);
        assert!(refusal.starts_with(expected), "{expected}\n{refusal}");
    }
}

#[test]
fn the_last_object_of_a_name_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let later = SERVICE.replace("3003", "3004");
    fs::write(&file, format!("{SERVICE}---\n{later}")).unwrap();
    let manifests = Manifests::load([&file]).unwrap();
    let [service] = &manifests.services[..] else { panic!("{manifests:?}") };
    assert_eq!(service.spec.ports[1].port, 3004);
}
