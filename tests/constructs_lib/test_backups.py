"""The two buckets of dumps, and who opens them."""

import json
import re

from tests.support import Stack

FIRST, SECOND = "presence360-production-backups", "presence360-production-backups-copy"


def test_dumps_are_in_two_regions_private_versioned_and_expire(production: Stack) -> None:
    first, second = (production.named("spaces_bucket", name) for name in (FIRST, SECOND))
    assert (first["region"], second["region"]) == ("fra1", "ams3")
    for bucket in (first, second):
        assert bucket["lifecycle"] == {"prevent_destroy": True}
        assert bucket["versioning"] == {"enabled": True}
        assert bucket["acl"] == "private"
    days = {
        bucket["name"]: {
            rule["prefix"]: (rule["expiration"]["days"], rule["noncurrent_version_expiration"]["days"])
            for rule in bucket["lifecycle_rule"]
            if "prefix" in rule
        }
        for bucket in (first, second)
    }
    assert days == {
        FIRST: {"dumps/": (21, 7), "requests/": (1, 1), "drills/": (731, 7)},
        SECOND: {"days/": (21, 7), "weeks/": (56, 7), "months/": (372, 7)},
    }


def test_no_droplet_has_a_key_that_opens_the_second_bucket(production: Stack) -> None:
    opened = {}
    for address, key in production.all("spaces_key").items():
        for grant in key["grant"]:
            name = production.follow(grant["bucket"])["name"]
            if name in {FIRST, SECOND}:
                opened[address.rpartition("_")[0], name] = grant["permission"]
    assert opened == {
        ("backups_writer", FIRST): "readwrite",
        ("backups_copier", FIRST): "read",
        ("backups_copier", SECOND): "readwrite",
    }
    # The copier's is in one output, which is sensitive, and in no object of a bucket.
    text = json.dumps({name: blocks for name, blocks in production.json.items() if name != "output"})
    assert len(re.findall(r"digitalocean_spaces_key\.backups_copier_\w+\.", text)) == 0
    assert production.outputs["backups_copy_key"]["sensitive"] is True


def test_the_control_group_alone_is_told_how_to_dump(production: Stack) -> None:
    found = [
        one for one in production.all("spaces_bucket_object").values() if one.get("key") == "backups.json"
    ]
    assert [production.follow(one["bucket"])["name"] for one in found] == [
        "presence360-production-config-control"
    ]
    content = production.local(found[0]["content"])
    assert "digitalocean_spaces_key.backups_writer_" in content
    assert 'hour = "01:00"' in content
    assert len(re.findall(r'"age1[a-z0-9]{58}"', content)) == 2


def test_an_environment_without_the_section_has_none(staging: Stack) -> None:
    assert json.dumps(staging.json).count("backups.json") == 0
    assert [one for one in staging.all("spaces_bucket").values() if "backups" in one["name"]] == []
