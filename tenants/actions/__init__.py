"""Every write of the control plane, one function a verb. Row, audit entry and outbox entry share one transaction."""
