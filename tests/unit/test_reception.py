"""A receiver that cannot begin ends: half of one would hold its port and nobody would start it again."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from tbsnode.dicom import acquisition, part10
from tbsnode.errors import ConfigError
from tbsnode.model import Peer, ReceivedInstance
from tbsnode.net import scu
from tbsnode.net.scp import ScpSettings
from tbsnode.pipeline.receive import Reception
from tbsnode.pipeline.site import Site
from tbsnode.store.schema import association
from tests import nodes, peers


def listening(site: Site, port: int) -> ScpSettings:
    return ScpSettings(
        ae_title="TBSNODE",
        bind=peers.LOOPBACK,
        port=port,
        callers=(),
        incoming=site.archive.incoming,
        storage_classes=(),
        transfer_syntaxes=(),
    )


def test_where_the_second_port_is_taken_the_first_is_given_back(site: Site) -> None:
    before = set(threading.enumerate())
    with socket.create_server((peers.LOOPBACK, 0)) as other:
        free, taken = peers.free_port(), other.getsockname()[1]
        reception = Reception(site, [listening(site, free), listening(site, taken)], name="receive-0")
        with pytest.raises(ConfigError, match=f"port {taken}"):
            reception.start()
    assert not peers.answers(free)
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    assert left == [], "they would keep the process from ending"


def test_an_association_that_ends_badly_is_one_warning_that_names_the_caller(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    reception = Reception(site, [listening(site, 0)], name="receive-0")
    reception.start()
    try:
        with caplog.at_level("INFO", logger="tbsnode"):
            caller = Peer(
                name="node",
                ae_title="TBSNODE",
                host=peers.LOOPBACK,
                port=reception.scps[0].port,
                calling_ae_title="STRANGER",
            )
            assert not scu.echo(caller).ok
    finally:
        reception.stop()
    told = [record for record in caplog.records if "STRANGER" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "STRANGER at 127.0.0.1: calling AE title" in told[0].getMessage()


def test_an_association_is_noted_with_the_first_instance_that_is_new(site: Site, tmp_path: Path) -> None:
    pictures = [
        acquisition.study(
            "hip",
            patient=acquisition.PatientTags(patient_id="H-1"),
            seed=seed,
            options=acquisition.Options(small=True),
        )[0]
        for seed in (1, 2, 3)
    ]
    reception = Reception(site, [listening(site, 0)], name="receive-0")

    def store(picture: bytes, association_id: str) -> None:
        path = nodes.write(site.archive.incoming, [picture])[0]
        named = part10.read_header(path).meta
        assert named is not None
        reception._store(
            ReceivedInstance(
                path=path,
                sop_class_uid=named.sop_class_uid,
                sop_instance_uid=named.sop_instance_uid,
                transfer_syntax_uid=named.transfer_syntax_uid,
                calling_ae_title="DXA",
                called_ae_title="TBSNODE",
                host=peers.LOOPBACK,
                association_id=association_id,
            )
        )

    def noted() -> list[str]:
        with site.database.read() as tx:
            return [row.id for row in tx.all(sa.select(association.c.id).order_by(association.c.id))]

    store(pictures[0], "a")
    store(pictures[0], "b")
    assert noted() == ["a"], "the second one brought nothing new"
    store(pictures[1], "b")
    store(pictures[2], "b")
    assert noted() == ["a", "b"]
    assert list(site.archive.incoming.iterdir()) == []
