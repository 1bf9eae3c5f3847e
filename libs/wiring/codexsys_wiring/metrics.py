"""Every metric of every service but HTTP's own; what each alarm means is in docs/operations.md."""

from prometheus_client import Counter, Gauge

# Set by each relay from the rows, so that all replicas show the same.
TASKS = Gauge("codexsys_tasks", "Tasks that are not over, by status.", ["status"])
QUEUE_AGE = Gauge("codexsys_queue_age_seconds", "How long the oldest due attempt has been waiting.")
EXPIRED_LEASES = Gauge("codexsys_expired_leases", "Running attempts whose lease has run out.")
UNPUBLISHED = Gauge(
    "codexsys_unpublished", "Records and results that have not gone out for a minute.", ["kind"]
)
CENSUS_AT = Gauge("codexsys_census_timestamp_seconds", "When the rows were last counted.")

# Counted by each relay for what it did itself.
TAKEOVERS = Counter("codexsys_takeovers", "Attempts taken from owners that stopped renewing.")
FORGOTTEN = Counter("codexsys_forgotten", "What retention has removed.", ["kind"])
PASSES_FAILED = Counter("codexsys_passes_failed", "Passes of a loop that failed.", ["loop"])

# Each worker's own.
LEASES = Gauge("codexsys_leases", "Attempts that this worker holds.")
BEATS_FAILED = Counter("codexsys_beats_failed", "Beats that could not renew the leases.")
LEASES_LOST = Counter("codexsys_leases_lost", "Attempts that somebody else took from this worker.")
ADOPTIONS = Counter(
    "codexsys_adoptions",
    "Attempts that this worker carries on with in place, by whether their owner died or released them.",
    ["owner"],
)
RELEASES = Counter("codexsys_releases", "Attempts that this worker let go of when it was stopped.")
CLAIMS = Counter("codexsys_claims", "Attempts claimed.")
AT_CAPACITY = Counter("codexsys_claims_at_capacity", "Claims refused because a tenant was full.")
ENDINGS = Counter("codexsys_endings", "Tasks that this worker ended.", ["status", "end_reason"])
RETRIES = Counter("codexsys_retries", "Attempts that were followed by another one.", ["end_reason"])
RECONCILED = Counter("codexsys_reconciled", "Sandboxes cleared away because their row had ended.")

# Each gateway's own.
GATEWAY_CALLS = Counter("codexsys_gateway_calls", "Model calls, by how they went.", ["outcome"])
GATEWAY_TOKENS = Counter("codexsys_gateway_tokens", "Tokens of settled model calls.", ["direction"])
