from manage_api.domains.limits import limits_words
from shared.model import Limits


def test_limits_are_told_one_by_one() -> None:
    limits = Limits(
        quota_tokens=5_000,
        quota_cost_micros=2_500_000,
        period="month",
        rpm=60,
        tpm=1_000,
        concurrency=2,
    )

    assert limits_words(Limits()) == []
    assert limits_words(limits) == [
        "5,000 tokens per month",
        "$2.50 per month",
        "60 requests per minute",
        "1,000 tokens per minute",
        "2 concurrent requests",
    ]
