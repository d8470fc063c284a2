"""What happens behind an answer: the queue, predictions worked on, webhooks, chores. Knows no route."""
