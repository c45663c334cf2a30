"""What people read: lines and tables on the terminal, one view for each verb and subject."""
