-- Every start asks under which master keys something is sealed; it reads one entry a key, instead of every sealed value there is.
create index account_keys_sealed_under on account_keys (substr(sealed, 1, 8));
create index signing_keys_sealed_under on signing_keys (substr(private_key, 1, 8));
create index grants_sealed_under on grants (substr(oidc_client_secret, 1, 8)) where oidc_client_secret is not null;
create index factors_sealed_under on factors (substr(seed, 1, 8)) where seed is not null;
