"""What `Outbound` says of a host that it does not connect to."""


class OutboundFailure(Exception):
    """The host cannot be reached from here: `reason` is host_unknown or address_denied."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
