"""What tasks and tenants may spend, and what they have spent: wallets, reservations, days, usage."""
