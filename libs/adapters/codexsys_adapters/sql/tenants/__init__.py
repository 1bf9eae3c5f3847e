"""What tenants have beside tasks: keys, quotas, environments, uploads, and their word that two requests are one."""
