"""`thinkback completion`: what a shell needs to complete our commands and options."""

import click
from click.shell_completion import get_completion_class

__all__ = ("completion",)

_HOW = {
    "bash": 'eval "$(thinkback completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(thinkback completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "thinkback completion fish > ~/.config/fish/completions/thinkback.fish",
}


@click.command(epilog="\b\n" + "\n".join(_HOW.values()))
@click.argument("shell", type=click.Choice(tuple(_HOW)))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print a script with which SHELL completes commands and options."""
    made = get_completion_class(shell)
    assert made, "click knows these shells"
    root = ctx.find_root().command
    click.echo(made(root, {}, "thinkback", "_THINKBACK_COMPLETE").source())
