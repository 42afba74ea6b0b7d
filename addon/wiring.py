"""The composition root: configuration and store become the collaborators of the data plane."""

import os
import secrets
from collections.abc import Mapping

from addon.exchange import Services
from addon.log import configure
from addon.reasoning.lessons import Lessons
from addon.reasoning.recall import Recall
from addon.routing.keyring import Keyring
from shared.clock import Clock, SystemClock
from shared.config.schema import Snapshot
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.model import User, VirtualKey
from shared.security.secrets import derive, load_secret
from shared.security.tokens import InvalidToken, read_token
from shared.store import data_directory, open_engine
from shared.store.accounts import find_user
from shared.store.virtual_keys import find_key

__all__ = ("Wiring",)

FORGET_SECONDS = 600
_MIB = 1024 * 1024


class Wiring:
    """Holds what the addon works with. Raises ConfigError or StoreError when it can't be made."""

    def __init__(self, environ: Mapping[str, str] = os.environ, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._watch = Watch(environ)
        configure(self.snapshot.logging)
        database = self.snapshot.database_url
        self.engine = open_engine(database)
        self._secret = load_secret(data_directory(database))
        self._forgotten_at = self.clock.monotonic()
        self.recall = Recall(self.engine, self.clock, memory_bytes=self.snapshot.recall.memory_mib * _MIB)
        self.services = Services(
            recall=self.recall,
            lessons=Lessons(self.engine, self.clock),
            keyring=Keyring(),
            clock=self.clock,
            id_key=derive(self._secret, "tool-call-id"),
            random=secrets.token_bytes,
        )

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._watch.snapshot

    def each_second(self) -> None:
        """Take over edited configuration and let old turns go."""
        if self._watch.poll() is not None:
            configure(self.snapshot.logging)
            self.recall.bound(self.snapshot.recall.memory_mib * _MIB)
        now = self.clock.monotonic()
        if now - self._forgotten_at >= FORGET_SECONDS:
            self._forgotten_at = now
            limits = self.snapshot.recall
            self.recall.forget_old(max_age_days=limits.max_age_days, max_bytes=limits.max_mib * _MIB)

    def find_key(self, digest: str) -> tuple[VirtualKey, User] | None:
        """The virtual key with this digest, and its user."""
        return find_key(self.engine, digest)

    def read_token(self, token: str) -> User | None:
        """The user of a session token that is valid and has not been ended."""
        try:
            claims = read_token(token, self._jwt_secret, now=self.clock.now_ms() // 1000)
        except InvalidToken:
            return None
        user = find_user(self.engine, claims.user_id)
        return user if user is not None and user.epoch == claims.epoch else None

    def store_answers(self) -> bool:
        """Whether the database can be read."""
        try:
            self.engine.version()
        except StoreError:
            return False
        return True

    @property
    def _jwt_secret(self) -> str | bytes:
        return self.snapshot.jwt_secret or derive(self._secret, "jwt")
