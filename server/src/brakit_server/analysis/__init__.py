"""What is learned from events: findings of rules, issues, figures of endpoints, flows."""
