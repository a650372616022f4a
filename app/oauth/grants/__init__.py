"""The grants of the token endpoint, one module each, named by its RFC and section."""

from app.oauth.grants.authorization_code import AuthorizationCode
from app.oauth.grants.client_credentials import ClientCredentials
from app.oauth.grants.refresh_token import RefreshToken

GRANTS = (AuthorizationCode, RefreshToken, ClientCredentials)
