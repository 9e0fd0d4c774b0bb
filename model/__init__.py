"""What an operator may write, validated and turned into frozen plans; pure, no cdktf."""
