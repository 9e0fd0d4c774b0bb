"""Stacks are the same to a rule in whichever shape they come."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from policies.files import find, shape_of
from policies.hcl import to_json
from policies.plan import read_plan
from policies.stack import Resource, Shape, make_stack
from policies.values import block, blocks
from tests.support import ROOT


def instances(stack: dict[str, Any]) -> dict[str, Resource]:
    return dict(make_stack(stack, "x/cdk.tf.json").resources)


def test_a_for_each_over_a_map_becomes_instances_with_their_values() -> None:
    body = {
        "for_each": "${local.sizes}",
        "name": "pg-${each.key}",
        "node_count": "${each.value.nodes}",
        "cluster_id": "${digitalocean_database_cluster.pg[each.key].id}",
        "tags": ["${each.value.unknown}"],
    }
    locals_ = {"sizes": {"a": {"nodes": 2}, "b": {"nodes": 1}}}
    found = instances({"locals": locals_, "resource": {"digitalocean_database_cluster": {"pg": body}}})
    assert list(found) == ['digitalocean_database_cluster.pg["a"]', 'digitalocean_database_cluster.pg["b"]']
    first = found['digitalocean_database_cluster.pg["a"]']
    assert (first["name"], first["node_count"]) == ("pg-a", 2)
    assert first["cluster_id"] == '${digitalocean_database_cluster.pg["a"].id}'
    assert first["tags"] == ["${each.value.unknown}"], "what is not known stays an expression"


def test_a_reference_is_followed_to_the_instance_that_it_names() -> None:
    stack = make_stack(
        {
            "locals": {"two": {"a": "", "b": ""}},
            "resource": {"digitalocean_tag": {"t": {"for_each": "${local.two}", "name": "tag-${each.key}"}}},
            "data": {"digitalocean_tag": {"t": {"name": "found"}}},
        },
        "x/cdk.tf.json",
    )
    assert [one.key for one in stack.follow('${digitalocean_tag.t["b"].name}')] == ["b"]
    assert [one.key for one in stack.follow("${digitalocean_tag.t[each.value].name}")] == ["a", "b"]
    assert stack.name_of("${data.digitalocean_tag.t.name}") == "found"
    assert stack.follow("${digitalocean_tag.other.name}") == []


def test_hcl_becomes_what_terraform_json_has() -> None:
    parsed = {
        "resource": [
            {"digitalocean_firewall": {"f": {
                "tags": [["${digitalocean_tag.a.name}"]],
                "inbound_rule": [{"protocol": ["tcp"], "source_addresses": [["192.0.2.1/32"]]}, {"protocol": ["udp"]}],
                "lifecycle": [{"prevent_destroy": [True]}],
                "__start_line__": 3, "__end_line__": 9,
            }}},
        ],
        "terraform": [{"backend": [{"s3": {"bucket": ["b"], "endpoints": [{"s3": "https://x"}]}}]}],
        "moved": [{"from": ["${a.b}"], "to": ['${c.d["x"]}']}],
    }  # fmt: skip
    stack = make_stack(to_json(parsed, "main.tf"), "x/main.tf", Shape.HCL)
    firewall = stack.resources["digitalocean_firewall.f"]
    assert [rule.get("protocol") for rule in blocks(firewall.body, "inbound_rule")] == ["tcp", "udp"]
    assert blocks(firewall.body, "inbound_rule")[0]["source_addresses"] == ["192.0.2.1/32"]
    assert firewall.lifecycle == {"prevent_destroy": True}
    assert (firewall.lines, firewall.file) == ((3, 9), "main.tf")
    assert block(block(stack.terraform, "backend"), "s3") == {"bucket": "b", "endpoints": {"s3": "https://x"}}
    assert stack.moves == ({"from": "a.b", "to": 'c.d["x"]'},)


def entry(address: str, kind: str, name: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values, **more}


def test_what_a_plan_does_not_know_yet_is_the_expression_in_the_configuration() -> None:
    rules = [
        {"protocol": "tcp", "port_range": "443", "source_addresses": []},
        {"protocol": "tcp", "port_range": "22", "source_addresses": ["192.0.2.1/32"], "computed": "x"},
    ]
    written = [
        {
            "protocol": {"constant_value": "tcp"},
            "port_range": {"constant_value": "22"},
            "source_addresses": {"constant_value": ["192.0.2.1/32"]},
        },
        {
            "protocol": {"constant_value": "tcp"},
            "port_range": {"constant_value": "443"},
            "source_load_balancer_uids": {
                "references": ["digitalocean_loadbalancer.app.id", "digitalocean_loadbalancer.app"]
            },
        },
    ]
    plan = {
        "planned_values": {
            "root_module": {
                "resources": [
                    entry(
                        "digitalocean_firewall.f",
                        "digitalocean_firewall",
                        "f",
                        {"inbound_rule": rules, "computed": "x"},
                    )
                ],
                "child_modules": [
                    {
                        "resources": [
                            entry(
                                'module.a["k"].digitalocean_tag.t["one"]',
                                "digitalocean_tag",
                                "t",
                                {"name": "t"},
                                index="one",
                            )
                        ]
                    }
                ],
            }
        },
        "resource_changes": [
            {
                "address": "digitalocean_firewall.f",
                "change": {"after_unknown": {"inbound_rule": [{"source_load_balancer_uids": True}, {}]}},
            }
        ],
        "configuration": {
            "root_module": {
                "resources": [
                    {"address": "digitalocean_firewall.f", "expressions": {"inbound_rule": written}}
                ],
                "module_calls": {
                    "a": {
                        "module": {
                            "resources": [
                                {
                                    "address": "digitalocean_tag.t",
                                    "expressions": {"name": {"references": ["each.key"]}},
                                    "depends_on": ["digitalocean_vpc.v"],
                                }
                            ]
                        }
                    }
                },
            }
        },
    }
    stack = read_plan(plan, "staging/plan.json")
    firewall = stack.resources["digitalocean_firewall.f"]
    first, second = blocks(firewall.body, "inbound_rule")
    assert first["source_load_balancer_uids"] == "${digitalocean_loadbalancer.app.id}"
    assert second.keys() == {"protocol", "port_range", "source_addresses"}
    assert "computed" not in firewall.body, "only what is configured is judged"
    in_module = stack.resources['module.a["k"].digitalocean_tag.t["one"]']
    assert (in_module["name"], in_module["depends_on"]) == ("t", ["digitalocean_vpc.v"])


def test_a_plan_is_told_from_other_json_by_what_is_in_it(tmp_path: Path) -> None:
    for name, text in {
        "plan.json": '{"format_version":"1.2","terraform_version":"1.11.4"}',
        "package.json": '{"name": "x"}',
        "a/cdk.tf.json": "{}",
        "a/.terraform/modules/m.tf": "",
        "b/main.tf": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert {file.relative_to(tmp_path).as_posix(): shape_of(file) for file in find(tmp_path)} == {
        "a/cdk.tf.json": Shape.JSON,
        "b/main.tf": Shape.HCL,
        "plan.json": Shape.PLAN,
    }


def test_the_general_policies_run_without_the_rest_of_this_repository(tmp_path: Path) -> None:
    """As docs/policies.md tells other projects to copy them."""
    left_out = shutil.ignore_patterns("presence360", "all", "__pycache__")
    shutil.copytree(ROOT / "policies", tmp_path / "policies", ignore=left_out)
    program = "from policies.general import PACK; import policies.__main__; print(len(PACK))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) > 60
