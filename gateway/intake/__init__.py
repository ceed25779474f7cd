"""What comes in from outside is stored before it is answered; then the doorbell rings."""
