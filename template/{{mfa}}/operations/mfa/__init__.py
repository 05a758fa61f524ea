"""Two-factor logins by allauth.mfa: encrypted secrets, an admin that asks for a second factor, and help for who lost theirs."""
