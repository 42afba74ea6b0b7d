"""An upstream behind TLS, as every provider is."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest

from shared.config.mitm import find_mitm
from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway, upstream_environment
from tests.support.provider import StrictProvider
from tests.support.tls import TlsFront

MODEL = "deepseek-v4-pro"


@pytest.fixture
def front(tmp_path: Path, strict: StrictProvider) -> Iterator[TlsFront]:
    with TlsFront(tmp_path, urlsplit(strict.base_url).port or 0) as running:
        yield running


def test_a_conversation_runs_over_tls(
    tmp_path: Path, provider: StrictProvider, front: TlsFront
) -> None:
    trusting = f'[options]\nssl_verify_upstream_trusted_ca = "{front.authority}"\n'
    (tmp_path / "mitm.toml").write_text(find_mitm().read_text().replace("[options]\n", trusting))
    with Gateway(tmp_path, upstream_environment(front.base_url)) as gateway:
        conversation = Conversation(
            sdk(gateway.base_url, gateway.new_user("ada")), MODEL, marker="tls"
        )
        conversation.run(4)
        conversation.run(2, streamed=False)
    assert not provider.rejections
    assert not conversation.crossed(provider.requests)


def test_an_upstream_whose_certificate_is_not_valid_gets_nothing(
    tmp_path: Path, provider: StrictProvider, front: TlsFront
) -> None:
    with Gateway(tmp_path, upstream_environment(front.base_url)) as gateway:
        client = sdk(gateway.base_url, gateway.new_user("ada"))
        with pytest.raises(openai.APIStatusError, match="certificate is not valid"):
            Conversation(client, MODEL).ask()
    assert not provider.requests
