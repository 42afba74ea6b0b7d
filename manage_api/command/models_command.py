"""`thinkback models`."""

import os

import click
import msgspec

from manage_api.command.importing import open_store
from shared.config.watch import Watch
from shared.routes import model_owners
from shared.store.installation import installation_secret
from shared.store.overrides import read_overrides
from shared.store.upstream_models import listed_models

__all__ = ("models",)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def models(as_json: bool) -> None:
    """List the models that clients may request, and their upstreams.

    What upstreams list is as of when the gateway asked them last.
    """
    owners = _owners()
    if as_json:
        for model, upstream in owners.items():
            click.echo(msgspec.json.encode({"model": model, "upstream": upstream}))
        return
    if not owners:
        click.echo("No model is known yet. `thinkback check` tries the upstreams.", err=True)
    width = max(map(len, owners), default=0)
    for model, upstream in owners.items():
        click.echo(f"{model:<{width}}  {upstream}")


def _owners() -> dict[str, str]:
    """The models, each with the first upstream that has it."""
    watch = Watch(os.environ)
    with open_store() as store:
        secret = installation_secret(store, watch.snapshot.database_url)
        watch.override(read_overrides(store, secret))
        upstreams = watch.snapshot.upstreams
        return model_owners(upstreams, listed_models(store, upstreams))
