"""Opens what sends webhooks, by settings."""

from codexsys_adapters.outbound import Outbound
from codexsys_adapters.webhooks import HttpWebhooks
from codexsys_wiring.settings import Settings


def open_webhooks(settings: Settings) -> HttpWebhooks:
    """Return it, to be entered; it goes where Git sources may come from."""
    return HttpWebhooks(
        Outbound(allow_networks=settings.allow_networks, allow_http=settings.allow_http_git)
    )
