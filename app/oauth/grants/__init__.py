"""The grants of the token endpoint, one module each, named by its RFC and section."""

from app.oauth.grants.authorization_code import AuthorizationCode
from app.oauth.grants.client_credentials import ClientCredentials
from app.oauth.grants.refresh_token import RefreshToken
from app.oauth.grants.token_exchange import TokenExchange

GRANTS = (AuthorizationCode, RefreshToken, ClientCredentials, TokenExchange)
