// An administrator and a person with the AWS SDK for JavaScript: reads where the server is and what to send as JSON from
// standard input, and writes what came back as JSON to standard output. tests/journeys/test_directory_js.py looks at it.

import * as sdk from "@aws-sdk/client-cognito-identity-provider";

const PASSWORD = "Correct-horse-7";
const NEW = "Another-horse-8";

const given = JSON.parse(await new Response(process.stdin).text());
const config = { endpoint: given.endpoint, region: given.region, maxAttempts: 1 };
const admin = new sdk.CognitoIdentityProvider({
  ...config,
  credentials: { accessKeyId: given.key.id, secretAccessKey: given.key.secret },
});
// What runs in a browser has no credentials, and signs nothing.
const anybody = new sdk.CognitoIdentityProvider({ ...config, credentials: async () => Promise.reject("no credentials") });

async function refusal(exception, attempt) {
  try {
    await attempt();
  } catch (error) {
    return {
      instance: error instanceof exception,
      service: error instanceof sdk.CognitoIdentityProviderServiceException,
      name: error.name,
      status: error.$metadata?.httpStatusCode,
      message: error.message,
    };
  }
  return null;
}

async function everyMember() {
  const { UserPool: made } = await admin.createUserPool(given.pool);
  const UserPoolId = made.Id;
  const { UserPool: described } = await admin.describeUserPool({ UserPoolId });
  await admin.updateUserPool({ UserPoolId, ...given.poolChanged });
  const { UserPool: changed } = await admin.describeUserPool({ UserPoolId });
  await admin.deleteUserPool({ UserPoolId });

  const other = (await admin.createUserPool({ PoolName: "JavaScript", Schema: given.schema })).UserPool.Id;
  await admin.createResourceServer({ UserPoolId: other, ...given.resourceServer });
  const { UserPoolClient: client } = await admin.createUserPoolClient({ UserPoolId: other, ...given.client });
  const which = { UserPoolId: other, ClientId: client.ClientId };
  const { UserPoolClient: clientDescribed } = await admin.describeUserPoolClient(which);
  await admin.updateUserPoolClient({ ...which, ...given.clientChanged });
  const { UserPoolClient: clientChanged } = await admin.describeUserPoolClient(which);
  await admin.deleteUserPool({ UserPoolId: other });
  const datesAreDates = described.CreationDate instanceof Date && clientDescribed.CreationDate instanceof Date;
  return { pool: described, poolChanged: changed, client: clientDescribed, clientChanged, datesAreDates };
}

async function lists() {
  const { UserPool } = await admin.createUserPool({ PoolName: "JavaScript lists" });
  const UserPoolId = UserPool.Id;
  for (let n = 0; n < 5; n++) {
    await admin.createGroup({ UserPoolId, GroupName: `group${n}` });
    await admin.createResourceServer({ UserPoolId, Identifier: `https://api${n}.example.com`, Name: `API ${n}` });
    await admin.createUserPoolClient({ UserPoolId, ClientName: `App ${n}` });
    await admin.adminCreateUser({ UserPoolId, Username: `user${n}`, MessageAction: "SUPPRESS" });
    await admin.adminAddUserToGroup({ UserPoolId, Username: `user${n}`, GroupName: "group0" });
    if (n) await admin.adminAddUserToGroup({ UserPoolId, Username: "user0", GroupName: `group${n}` });
  }
  const paged = async (paginate, input, key, name) => {
    const pages = [];
    for await (const page of paginate({ client: admin, pageSize: 2 }, { UserPoolId, ...input })) {
      pages.push(page[key].map((one) => one[name]));
    }
    return pages;
  };
  const found = {
    ListUsers: await paged(sdk.paginateListUsers, {}, "Users", "Username"),
    ListGroups: await paged(sdk.paginateListGroups, {}, "Groups", "GroupName"),
    ListUsersInGroup: await paged(sdk.paginateListUsersInGroup, { GroupName: "group0" }, "Users", "Username"),
    AdminListGroupsForUser: await paged(
      sdk.paginateAdminListGroupsForUser,
      { Username: "user0" },
      "Groups",
      "GroupName",
    ),
    ListResourceServers: await paged(sdk.paginateListResourceServers, {}, "ResourceServers", "Identifier"),
    ListUserPoolClients: await paged(sdk.paginateListUserPoolClients, {}, "UserPoolClients", "ClientName"),
  };
  const pools = [];
  for await (const page of sdk.paginateListUserPools({ client: admin, pageSize: 2 }, {})) {
    pools.push(...page.UserPools.map((one) => one.Id));
  }
  await admin.deleteUserPool({ UserPoolId });
  return { pages: found, poolIsListed: pools.includes(UserPoolId) };
}

async function life() {
  const { UserPool } = await admin.createUserPool({
    PoolName: "JavaScript people",
    AliasAttributes: ["email"],
    AutoVerifiedAttributes: ["email"],
  });
  const UserPoolId = UserPool.Id;
  const { UserPoolClient } = await admin.createUserPoolClient({
    UserPoolId,
    ClientName: "App",
    ExplicitAuthFlows: ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
  });
  const ClientId = UserPoolClient.ClientId;
  const email = `${crypto.randomUUID()}@example.com`;
  const moved = `${crypto.randomUUID()}@example.com`;
  const codeFor = async (to) => {
    const answer = await fetch(`${given.endpoint}/dev/outbox.json?to=${encodeURIComponent(to)}`);
    return (await answer.json())[0].code;
  };
  const signIn = async (PASSWORD) => {
    const how = { AuthFlow: "USER_PASSWORD_AUTH", AuthParameters: { USERNAME: "nora", PASSWORD } };
    return (await anybody.initiateAuth({ ClientId, ...how })).AuthenticationResult.AccessToken;
  };

  const UserAttributes = [{ Name: "email", Value: email }];
  await anybody.signUp({ ClientId, Username: "nora", Password: PASSWORD, UserAttributes });
  await anybody.confirmSignUp({ ClientId, Username: "nora", ConfirmationCode: await codeFor(email) });
  await admin.createGroup({ UserPoolId, GroupName: "editors", Precedence: 0 });
  await admin.adminAddUserToGroup({ UserPoolId, Username: email, GroupName: "editors" });
  let AccessToken = await signIn(PASSWORD);
  await anybody.updateUserAttributes({ AccessToken, UserAttributes: [{ Name: "email", Value: moved }] });
  await anybody.verifyUserAttribute({ AccessToken, AttributeName: "email", Code: await codeFor(moved) });
  await anybody.changePassword({ AccessToken, PreviousPassword: PASSWORD, ProposedPassword: NEW });
  AccessToken = await signIn(NEW);
  const user = await anybody.getUser({ AccessToken });

  const refusals = [
    await refusal(sdk.UsernameExistsException, () =>
      admin.adminCreateUser({ UserPoolId, Username: "nora", MessageAction: "SUPPRESS" }),
    ),
    await refusal(sdk.GroupExistsException, () => admin.createGroup({ UserPoolId, GroupName: "editors" })),
    await refusal(sdk.NotAuthorizedException, () => signIn(PASSWORD)),
    await refusal(sdk.UserNotFoundException, () => admin.adminGetUser({ UserPoolId, Username: "nobody" })),
    await refusal(sdk.ResourceNotFoundException, () => admin.getGroup({ UserPoolId, GroupName: "nobodies" })),
    await refusal(sdk.InvalidParameterException, () => admin.listUsers({ UserPoolId, Filter: "nonsense" })),
    await refusal(sdk.InvalidPasswordException, () =>
      anybody.changePassword({ AccessToken, PreviousPassword: NEW, ProposedPassword: "short" }),
    ),
    await refusal(sdk.CodeMismatchException, async () => {
      await anybody.getUserAttributeVerificationCode({ AccessToken, AttributeName: "email" });
      const sent = await codeFor(moved);
      const Code = sent === "000000" ? "111111" : "000000";
      await anybody.verifyUserAttribute({ AccessToken, AttributeName: "email", Code });
    }),
  ];

  await anybody.deleteUser({ AccessToken });
  const left = (await admin.listUsers({ UserPoolId })).Users;
  await admin.deleteUserPool({ UserPoolId });
  return { user, moved, refusals, left };
}

const done = { node: process.version, everyMember: await everyMember(), lists: await lists(), life: await life() };
process.stdout.write(JSON.stringify(done));
