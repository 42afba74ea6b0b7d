"""The composition root: configuration and store become the collaborators of the data plane."""

import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version

from addon.admission.known_keys import KnownKeys
from addon.exchange.awaited_store import awaited
from addon.exchange.services import Services
from addon.exchange.stored_answers import StoredAnswers
from addon.ledger.audit import Audit
from addon.ledger.entry import entry_of, entry_so_far, entry_unread, learned_from
from addon.ledger.meter import Meter, Opened
from addon.ledger.outcome import Delivery, Outcome
from addon.ledger.rests import KeyRests
from addon.recall.commits import Commit
from addon.recall.lessons import Lessons
from addon.recall.memory import Recall
from addon.routing.keyring import Keyring
from shared.clock import Clock, SystemClock
from shared.config.fingerprint import configuration_fingerprint, secret_fingerprint
from shared.config.live import LiveConfiguration
from shared.config.passed import received
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.doctor import DoctorToken
from shared.doctor import read_token as read_doctor_token
from shared.errors import StoreError
from shared.lifeline import worker
from shared.log import configure
from shared.model import User, VirtualKey
from shared.security.secrets import derive
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.installation import installation_secrets
from shared.store.ledger import note_progress
from shared.store.lookup import SessionWanted, Wanted, look_up
from shared.store.nodes import Process
from shared.store.overrides import read_overrides
from shared.store.room import room_for_turns
from shared.store.upstream_models import listed_models

__all__ = ("Node",)

_log = logging.getLogger("thinkback.books")
_MIB = 1024 * 1024


class Node:
    """Holds what the addon works with. Raises ConfigError or StoreError when it can't be made."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        open_store: Callable[[str, Clock], Engine] = open_engine,
    ) -> None:
        self.clock = clock or SystemClock()
        self._worker = worker(environ)
        watch = Watch(received(environ))
        configure(watch.snapshot.logging, sys.stdout, self._worker.name)
        database = watch.snapshot.database_url
        self.engine = awaited(open_store(database, self.clock))
        self._known_keys = KnownKeys(self._read_key, self._accounts_version)
        self._room = room_for_turns(database)
        self._secret, retired = installation_secrets(self.engine, database)
        self._configuration = LiveConfiguration(
            watch,
            self._overrides_version,
            partial(read_overrides, self.engine, self._secret),
            workers=self._worker.of,
        )
        self._audit = Audit(self.engine)
        self.meter = Meter(
            self.engine,
            self.clock,
            node=secrets.token_hex(8),
            version=version("thinkback"),
            process=Process(os.uname().nodename, os.getpid(), self._worker.name),
        )
        self.recall = Recall(
            self.engine,
            self.clock,
            memory_bytes=self.snapshot.recall.memory_mib * _MIB,
            shared=worker(environ).of > 1,
        )
        keyring = Keyring()
        rests = KeyRests(self.engine, self.clock, keyring)
        rests.refresh(self.snapshot.upstreams)
        self.services = Services(
            recall=self.recall,
            lessons=Lessons(self.engine, self.clock),
            keyring=keyring,
            rests=rests,
            meter=self.meter,
            answers=StoredAnswers(
                self.engine, self.clock, max_age_days=self.snapshot.responses.max_age_days
            ),
            clock=self.clock,
            look_up=self.meter.look_up,
            # Ids outlive a change of the secret, so that turns are found by them as before.
            id_key=derive((*retired, self._secret)[0], "tool-call-id"),
            seal_key=derive(self._secret, "carried-reasoning"),
            retired_seal_keys=tuple(derive(each, "carried-reasoning") for each in retired),
            random=secrets.token_bytes,
        )
        self._describe()

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._configuration.snapshot

    def reload(self) -> None:
        """Read the configuration again, whether or not it seems to have changed."""
        self._configuration.reload()
        self._take_over()

    def each_second(self) -> None:
        """Take over edited configuration, show that the node lives, and let old rows go."""
        self.meter.each_second()
        self.engine.sync_soon()
        before = self.snapshot
        self._configuration.refresh()
        if self.snapshot is not before:
            self._take_over()
        limits = self.snapshot.recall
        self.recall.follow()
        self.recall.forget_old(
            max_age_days=limits.max_age_days, max_bytes=limits.max_mib * _MIB or self._room
        )
        self.meter.forget_old(self.snapshot)
        # The last: a table that can't be read must not keep the others from being tended.
        self.services.rests.refresh(self.snapshot.upstreams)
        self.services.lessons.refresh()

    def note_progress(self, outcome: Outcome) -> None:
        """Note in the books what has come of a running exchange."""
        try:
            self.engine.write_later([note_progress(entry_so_far(outcome, self.meter))])
        except StoreError as error:
            _log.warning("What a running request has used is not noted (%s).", error)

    def settle(self, outcome: Outcome, opened: Opened | None, delivery: Delivery) -> Commit | None:
        """Enter a finished exchange into the ledger, and what was asked into the audit; the
        ledger's commit if it is still under way.
        """
        try:
            entry = entry_of(outcome, delivery, self.meter)
        except Exception:
            # What it holds of its caller's limits must be given back whatever happens.
            _log.exception("an exchange's entry failed: what was guessed at its opening is entered")
            guess = opened.entry if opened is not None else outcome.entry
            entry = entry_unread(outcome, delivery, guess)
        commit = self.meter.settle(entry, opened, learned_from(outcome))
        self._audit.note(outcome, entry, self.snapshot.audit.mode)
        return commit

    def finish(self) -> None:
        """Have all in the database that was noted; what is noted later still gets there."""
        self._audit.close()
        self.meter.flush()
        self.engine.flush()

    def find_key(self, digest: str) -> tuple[VirtualKey, User] | None:
        """The virtual key with this digest, and its user; where each look-up leaves the process,
        as they were up to half a second ago.
        """
        if self.engine.remote:
            return self._known_keys.find(digest)
        return self._read_key(digest)

    def read_token(self, token: str) -> tuple[User, VirtualKey | None] | None:
        """The user of a session token or call token that is valid and has not been ended, and
        the key within whose limits.
        """
        wanted = SessionWanted(token=token, secret=self._jwt_secret, now_ms=self.clock.now_ms())
        return look_up(self.engine, Wanted(session=wanted)).session

    def read_doctor_token(self, token: str) -> DoctorToken | None:
        """What a token of this installation's doctor says, when it is valid."""
        return read_doctor_token(token, self._secret, now=self.clock.now_ms() // 1000)

    def store_answers(self) -> bool:
        """Whether the database can be read."""
        try:
            self.engine.version()
        except StoreError:
            return False
        return True

    def listed_models(self) -> dict[str, tuple[str, ...]]:
        """What the upstreams list as their models, by upstream."""
        return listed_models(self.engine, self.snapshot.upstreams)

    def _describe(self) -> None:
        """Let others know by which settings the node runs, unless they do."""
        settings = configuration_fingerprint(self._configuration.base, self._secret)
        self.meter.describe(settings, secret_fingerprint(self._secret))

    def _overrides_version(self) -> int:
        return self.engine.versions().get("configuration", 0)

    def _read_key(self, digest: str) -> tuple[VirtualKey, User] | None:
        return look_up(self.engine, Wanted(key=digest)).key

    def _accounts_version(self) -> int:
        return self.engine.versions().get("accounts", 0)

    def _take_over(self) -> None:
        """Tell those who keep a setting that it may have changed."""
        configure(self.snapshot.logging, sys.stdout, self._worker.name)
        self.recall.bound(self.snapshot.recall.memory_mib * _MIB)
        self.services.answers.bound(self.snapshot.responses.max_age_days)
        self._describe()

    @property
    def _jwt_secret(self) -> str | bytes:
        return self.snapshot.jwt_secret or derive(self._secret, "jwt")
