-- The tables of codexsys, for MySQL 8.4 and MariaDB 10.11 or newer.
-- Made from the code; do not edit. `codexsys db upgrade` makes the same, and keeps it up to date.

-- API keys; only the hash of the secret is kept.
CREATE TABLE api_keys (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(100) NOT NULL,
	secret_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	scope VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'admin',
	created_at DATETIME(6) NOT NULL,
	revoked_at DATETIME(6),
	PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_api_keys_tenant_id ON api_keys (tenant_id);

-- Files of a terminal task.
CREATE TABLE artifacts (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	object VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	size BIGINT NOT NULL,
	sha256 VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	content_type VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	PRIMARY KEY (task_id, name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- One try at a task: the arbiter of who owns it.
CREATE TABLE attempts (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	number INTEGER NOT NULL,
	state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	owner CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	fence BIGINT NOT NULL,
	takeovers INTEGER NOT NULL,
	due_at DATETIME(6) NOT NULL,
	turn_at DATETIME(6),
	lease_until DATETIME(6),
	cancel_at DATETIME(6),
	published_at DATETIME(6),
	created_at DATETIME(6) NOT NULL,
	started_at DATETIME(6),
	ended_at DATETIME(6),
	end_reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
	end_detail MEDIUMTEXT,
	PRIMARY KEY (id),
	CONSTRAINT uq_attempts_number UNIQUE (task_id, number)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_attempts_state_due ON attempts (state, due_at);
CREATE INDEX ix_attempts_state_lease ON attempts (state, lease_until);
CREATE INDEX ix_attempts_turn ON attempts (state, tenant_id, turn_at, id);

-- Pointers to stored checkpoints.
CREATE TABLE checkpoints (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	attempt INTEGER NOT NULL,
	fence BIGINT NOT NULL,
	number INTEGER NOT NULL,
	step INTEGER NOT NULL,
	object VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	patch_size BIGINT NOT NULL,
	created_at DATETIME(6) NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT uq_checkpoints_number UNIQUE (task_id, attempt, fence, number)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- Environments by name. spec is JSON; secrets in it are sealed for this row's id.
CREATE TABLE environments (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(100) NOT NULL,
	spec MEDIUMTEXT NOT NULL,
	revision BIGINT NOT NULL,
	created_at DATETIME(6) NOT NULL,
	updated_at DATETIME(6) NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT uq_environments_name UNIQUE (tenant_id, name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_environments_tenant ON environments (tenant_id, id);

-- Events, numbered by the task's own counter.
CREATE TABLE events (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	seq BIGINT NOT NULL,
	type VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	attempt INTEGER NOT NULL,
	at DATETIME(6) NOT NULL,
	data MEDIUMTEXT NOT NULL,
	sandbox_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	number BIGINT,
	PRIMARY KEY (task_id, seq),
	CONSTRAINT uq_events_sender UNIQUE (sandbox_id, number)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- Keys by which clients say that two requests are one; kept 24 h. task_id: of whatever was made or answered.
CREATE TABLE idempotency_keys (
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	`key` VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	fingerprint VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	created_at DATETIME(6) NOT NULL,
	PRIMARY KEY (tenant_id, `key`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_idempotency_keys_age ON idempotency_keys (created_at);

-- Log text, already redacted.
CREATE TABLE log_chunks (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	stream VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	start BIGINT NOT NULL,
	sandbox_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	number BIGINT NOT NULL,
	text MEDIUMBLOB NOT NULL,
	PRIMARY KEY (task_id, stream, start),
	CONSTRAINT uq_log_chunks_sender UNIQUE (task_id, stream, sandbox_id, number)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- One row per stream of a task: its size is the next chunk's offset.
CREATE TABLE log_streams (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	stream VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	size BIGINT NOT NULL,
	sealed_at DATETIME(6),
	cleared_at DATETIME(6),
	PRIMARY KEY (task_id, stream)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_log_streams_cleared ON log_streams (cleared_at, sealed_at);

-- Notes of people to agents, numbered by their task; delivered_at: when the agent had it.
CREATE TABLE messages (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	number INTEGER NOT NULL,
	text MEDIUMTEXT NOT NULL,
	created_by CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	created_at DATETIME(6) NOT NULL,
	delivered_at DATETIME(6),
	PRIMARY KEY (id),
	CONSTRAINT uq_messages_number UNIQUE (task_id, number)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- Questions of tasks; open until they have an answer.
CREATE TABLE questions (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	attempt_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	text MEDIUMTEXT NOT NULL,
	options MEDIUMTEXT NOT NULL,
	default_answer MEDIUMTEXT,
	answer MEDIUMTEXT,
	answered_by CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	asked_at DATETIME(6) NOT NULL,
	answered_at DATETIME(6),
	deadline DATETIME(6) NOT NULL,
	PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_questions_open ON questions (answered_at, deadline);
CREATE INDEX ix_questions_task ON questions (task_id, asked_at);

-- A model call under way.
CREATE TABLE reservations (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	sandbox_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	price_input BIGINT NOT NULL,
	price_output BIGINT NOT NULL,
	price_cached BIGINT NOT NULL,
	until DATETIME(6) NOT NULL,
	settled_at DATETIME(6),
	number INTEGER,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	day DATE,
	PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_reservations_due ON reservations (settled_at, until);

-- Sandboxes, inserted before they are made; state only goes forward.
CREATE TABLE sandboxes (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	attempt_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	attempt INTEGER NOT NULL,
	fence BIGINT NOT NULL,
	`role` VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	backend VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	place VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	life INTEGER NOT NULL DEFAULT '1',
	state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	token_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin,
	deadline DATETIME(6) NOT NULL,
	created_at DATETIME(6) NOT NULL,
	ended_at DATETIME(6),
	destroyed_at DATETIME(6),
	end_reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
	PRIMARY KEY (id),
	CONSTRAINT uq_sandboxes_token UNIQUE (token_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_sandboxes_attempt ON sandboxes (attempt_id, state);
CREATE INDEX ix_sandboxes_place ON sandboxes (place, destroyed_at);
CREATE INDEX ix_sandboxes_task ON sandboxes (task_id, id);

-- Share links; only the hash of the token is kept.
CREATE TABLE shares (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	token_hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	parts VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	created_at DATETIME(6) NOT NULL,
	expires_at DATETIME(6) NOT NULL,
	revoked_at DATETIME(6),
	PRIMARY KEY (id),
	CONSTRAINT uq_shares_token UNIQUE (token_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_shares_task_id ON shares (task_id);

-- Labels of tasks, for filters.
CREATE TABLE task_labels (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	value VARCHAR(63) NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	PRIMARY KEY (task_id, name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_task_labels ON task_labels (tenant_id, name, value, task_id);

-- Tasks that need what another one keeps: its source, its base, its checkpoints.
CREATE TABLE task_needs (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	needed_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	PRIMARY KEY (task_id, needed_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_task_needs_needed ON task_needs (needed_id, task_id);

-- Tasks. Status moves only in a transaction that wrote the attempt row first.
CREATE TABLE tasks (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	created_by CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	retry_of CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	spec MEDIUMTEXT NOT NULL,
	source_url VARCHAR(2048),
	status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	phase VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
	attempt INTEGER NOT NULL,
	seq BIGINT NOT NULL,
	asked INTEGER NOT NULL DEFAULT '0',
	base MEDIUMTEXT,
	plan MEDIUMTEXT,
	verdict VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
	evidence MEDIUMTEXT,
	diff VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin,
	end_reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin,
	end_detail MEDIUMTEXT,
	end_fence BIGINT,
	end_seq BIGINT,
	created_at DATETIME(6) NOT NULL,
	queue_until DATETIME(6) NOT NULL,
	started_at DATETIME(6),
	finished_at DATETIME(6),
	result_due_at DATETIME(6),
	code_gone_at DATETIME(6),
	files_gone_at DATETIME(6),
	deleted_at DATETIME(6),
	PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_tasks_by_status ON tasks (tenant_id, status, id);
CREATE INDEX ix_tasks_code ON tasks (code_gone_at, finished_at);
CREATE INDEX ix_tasks_files ON tasks (files_gone_at, finished_at);
CREATE INDEX ix_tasks_of_tenant ON tasks (tenant_id, id, created_at, verdict);
CREATE INDEX ix_tasks_result_due ON tasks (result_due_at);
CREATE INDEX ix_tasks_status ON tasks (status, queue_until);

-- What a tenant's calls of one day (in UTC, when they were reserved) came to.
CREATE TABLE tenant_days (
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	day DATE NOT NULL,
	calls BIGINT NOT NULL,
	tokens BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	reserved_tokens BIGINT NOT NULL,
	reserved_micros BIGINT NOT NULL,
	PRIMARY KEY (tenant_id, day)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- Owners, and how much of the platform each gets. Written by the command line.
CREATE TABLE tenants (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	name VARCHAR(100) NOT NULL,
	created_at DATETIME(6) NOT NULL,
	weight DOUBLE NOT NULL DEFAULT '1',
	max_running INTEGER,
	max_queued INTEGER,
	max_usd_per_day DOUBLE,
	max_tokens_per_day BIGINT,
	PRIMARY KEY (id),
	CONSTRAINT uq_tenants_name UNIQUE (name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

-- Places for zips sent to the store; task_id: the one task made of it, refused_at: its zip was no good, deleted_at: given up.
CREATE TABLE uploads (
	id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	tenant_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	created_by CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	filename VARCHAR(200) NOT NULL,
	created_at DATETIME(6) NOT NULL,
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
	refused_at DATETIME(6),
	deleted_at DATETIME(6),
	PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX ix_uploads_age ON uploads (created_at);
CREATE INDEX ix_uploads_unused ON uploads (tenant_id, task_id);

-- What a task may spend on model calls, in calls, tokens and millionths of a dollar.
CREATE TABLE wallets (
	task_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	limit_calls BIGINT NOT NULL,
	limit_tokens BIGINT NOT NULL,
	limit_micros BIGINT NOT NULL,
	calls BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cached_tokens BIGINT NOT NULL,
	micros BIGINT NOT NULL,
	reserved_tokens BIGINT NOT NULL,
	reserved_micros BIGINT NOT NULL,
	PRIMARY KEY (task_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;
